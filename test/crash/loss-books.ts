import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointRecord, readCheckpoint } from '../../packages/tiered/src/spool/checkpoint-record.js';
import { isCheckpointName } from '../../packages/tiered/src/spool/ledger-checkpoint.js';

/** Of a process that is no more. */
export interface Remains {
  readonly pid: number;
  readonly log: string;
}

interface Dead {
  readonly ended: readonly number[];
  /** What its checkpoint says it has lost at most. */
  readonly atMost: number;
  /** Of the spans that had ended when it was written: those that might still be lost then. */
  readonly unsettled: number;
  readonly context: string;
}

/** So many may always end before the next record. */
const LEAST_RESERVE = 16;

/** What processes have lost that were killed, and what those after them have said of it. */
export class LossBooks {
  readonly violations: string[] = [];
  /** Spans that had ended, as far as their process came to say so. */
  ended = 0;
  lost = 0;
  atMost = 0;
  /** Processes of which a later one has told. */
  reported = 0;
  /** Processes whose checkpoint was taken away by one that was killed before it could tell. */
  unsaid = 0;
  private readonly directory: string;
  private readonly dead: Dead[] = [];
  private left: ReadonlyMap<string, CheckpointRecord | undefined> = new Map();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Enters processes that ran at the same time. */
  async enter(remains: readonly Remains[], context: string): Promise<void> {
    const before = this.left;
    const after = await checkpointsIn(this.directory);
    this.left = after;
    const told = remains.map(({ log }) => log.split('\n').slice(0, -1).map(wordsOf));
    const said = told.flatMap((lines) => lines.filter(([what]) => what === 'lost'));
    const [processes, atMost] = [1, 2].map((at) => said.reduce((sum, words) => sum + Number(words[at]), 0)) as [
      number,
      number,
    ];
    const taken = [...before].flatMap(([name, record]) => (record && !after.has(name) ? [record] : []));
    const excess = processes - taken.length;
    const excessSpans = atMost - taken.reduce((sum, record) => sum + lostBy(record), 0);
    this.reported += processes;
    const isAllSaid = said.length === remains.length;
    // One may have seen the end of the other, and taken its checkpoint away before it was seen here.
    const isOfMate = remains.length > 1 && excess === 1;
    if (!isAllSaid && excess < 0) this.unsaid -= excess;
    else if (!isOfMate && (excess !== 0 || excessSpans !== 0)) {
      this.violations.push(
        `${processes} processes lost ${atMost} spans, it is said; not ${JSON.stringify(taken)}: ${context}`,
      );
    }
    for (const [index, lines] of told.entries()) {
      const record = [...after].find(([name]) => name.startsWith(`checkpoint-${remains[index]!.pid}-`))?.[1];
      this.dead.push({
        ended: lines.filter(([what]) => what === 'ended').map(([, id]) => Number(id)),
        atMost: record ? lostBy(record) : isOfMate ? excessSpans : 0,
        unsettled: Number(lines.findLast(([what]) => what === 'unsettled')?.[1] ?? 0),
        context,
      });
    }
  }

  /** After everything that could be found has been received. */
  close(isSafe: (id: number) => boolean): void {
    if (this.left.size > 0) this.violations.push(`left over: ${[...this.left.keys()]}`);
    for (const { ended, atMost, unsettled, context } of this.dead) {
      const lost = ended.filter((id) => !isSafe(id)).length;
      this.ended += ended.length;
      this.lost += lost;
      this.atMost += atMost;
      if (lost > atMost) this.violations.push(`${lost} spans lost, at most ${atMost} by its checkpoint: ${context}`);
      // As many again may have been reserved.
      const most = unsettled + Math.max(LEAST_RESERVE, ended.length);
      if (atMost > most) this.violations.push(`${atMost} spans lost, by its checkpoint; at most ${most}: ${context}`);
    }
  }
}

const lostBy = ({ reserved, settled }: CheckpointRecord): number => Math.max(0, reserved - settled);

const wordsOf = (line: string): string[] => line.split(' ');

async function checkpointsIn(directory: string): Promise<Map<string, CheckpointRecord | undefined>> {
  const names = await readdir(directory).catch(() => []);
  const found = new Map<string, CheckpointRecord | undefined>();
  for (const name of names.filter(isCheckpointName)) {
    found.set(name, readCheckpoint(await readFile(join(directory, name))));
  }
  return found;
}
