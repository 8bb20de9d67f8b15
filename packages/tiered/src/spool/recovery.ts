import type { FileSystem, OpenFile } from '@otel-resilience/core';
import { readAcks } from './ack-file.js';
import { decodeSeal, decodeSegmentHeader, SEAL_BYTES, SEGMENT_HEADER_BYTES, type Seal } from './frame.js';
import {
  ACK_BYTES,
  ACK_NAME,
  ackName,
  EMPTY_SEGMENT_BYTES,
  newSegment,
  numberOf,
  SEGMENT_NAME,
  type Segment,
  segmentName,
  segmentPath,
} from './segment.js';
import { type Damage, noDamage, readFully, type Scan, type ScannedFrame, scanFrames } from './segment-reader.js';
import { quietly } from './write-queue.js';

export interface Recovered {
  /** In their order, the oldest first. */
  readonly segments: Segment[];
  readonly nextNumber: number;
  readonly nextId: number;
  /** Names that are not ours. */
  readonly foreign: string[];
  readonly corrupt: Damage;
  readonly torn: Damage;
}

export interface RecoveryOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /** Names of other parts of the spool. */
  readonly known: (name: string) => boolean;
  readonly now: number;
  readonly wallMillis: number;
}

interface Summary {
  readonly frames: number;
  readonly spans: number;
  readonly end: number;
  readonly lastId: number;
  readonly newestMillis: number;
}

/** A clock that says so had not been set yet: no span was written before this was. */
const EARLIEST_MILLIS = Date.UTC(2020, 0, 1);

/**
 * Finds out what an earlier process has left in a directory. Bodies are not read, nor the headers of a segment that was
 * finished in peace: it sums itself up. What that says is checked when the segment is replayed.
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { fileSystem, directory, known } = options;
  const names = (await fileSystem.list(directory)).sort();
  const isOurs = (name: string) => Number.isSafeInteger(numberOf(name));
  const segmentNames = names.filter((name) => SEGMENT_NAME.test(name) && isOurs(name));
  const ackNames = names.filter((name) => ACK_NAME.test(name) && isOurs(name));
  const foreign = names.filter((name) => !known(name) && !segmentNames.includes(name) && !ackNames.includes(name));
  const recovery = new Recovery(options, new Set(ackNames));
  for (const name of segmentNames) await recovery.read(numberOf(name));
  for (const name of ackNames) {
    if (!segmentNames.includes(name.replace('.ack', '.seg'))) await quietly(fileSystem.remove(`${directory}/${name}`));
  }
  const numbers = [...segmentNames, ...ackNames].map(numberOf);
  return { ...recovery.result, foreign, nextNumber: Math.max(0, ...numbers) + 1 };
}

class Recovery {
  private readonly options: RecoveryOptions;
  private readonly ackNames: ReadonlySet<string>;
  private readonly segments: Segment[] = [];
  private readonly corrupt = noDamage();
  private readonly torn = noDamage();
  private lastId = 0;
  private newestMillis = 0;

  constructor(options: RecoveryOptions, ackNames: ReadonlySet<string>) {
    this.options = options;
    this.ackNames = ackNames;
  }

  get result() {
    const { segments, corrupt, torn, lastId } = this;
    return { segments, corrupt, torn, nextId: lastId + 1 };
  }

  async read(number: number): Promise<void> {
    const { fileSystem, directory, now } = this.options;
    const path = `${directory}/${segmentName(number)}`;
    try {
      const file = await fileSystem.open(path, 'read');
      let segment: Segment;
      try {
        segment = await this.summarize(number, file);
      } finally {
        await quietly(file.close());
      }
      if (segment.frames > segment.settledFrames) this.segments.push(segment);
      else await this.discard(segment);
    } catch {
      // It cannot be read now: its frames are counted when it can be.
      const segment = newSegment(number, directory, 0n, now);
      const unknown = { frames: 1, unscannedFrames: 1, visibleBytes: Number.POSITIVE_INFINITY };
      this.segments.push({ ...segment, ...unknown });
    }
  }

  private async summarize(number: number, file: OpenFile): Promise<Segment> {
    const { fileSystem, directory, now, wallMillis } = this.options;
    const size = await file.size();
    const header = decodeSegmentHeader(await readFully(file, 0, SEGMENT_HEADER_BYTES));
    const segment = newSegment(number, directory, header?.token ?? 0n, now);
    segment.hasAcks = header !== undefined && this.ackNames.has(ackName(number));
    const seal = await readSeal(file, size);
    const acks = segment.hasAcks ? await readAcks(fileSystem, segment).catch(() => undefined) : undefined;
    // With notes of what is settled the frames have to be looked at.
    const summary =
      seal && !acks?.size ? { ...seal, end: seal.offset } : await this.scan(segment, file, size, acks ?? new Set());
    segment.frames = summary.frames;
    segment.spans = summary.spans;
    segment.unscannedFrames = summary.frames - segment.settledFrames;
    segment.unscannedSpans = summary.spans;
    segment.visibleBytes = summary.end;
    segment.bytes = EMPTY_SEGMENT_BYTES + summary.end + summary.frames * ACK_BYTES;
    this.lastId = Math.max(this.lastId, summary.lastId);
    // A clock that was set back in between does not make what came later older than what came before.
    if (summary.newestMillis >= EARLIEST_MILLIS) {
      this.newestMillis = Math.max(this.newestMillis, Math.min(summary.newestMillis, wallMillis));
      segment.newestAt = now - Math.max(0, wallMillis - this.newestMillis);
    }
    return segment;
  }

  private async scan(segment: Segment, file: OpenFile, size: number, acks: ReadonlySet<number>): Promise<Summary> {
    let frames = 0;
    let spans = 0;
    let lastId = 0;
    let newestMillis = 0;
    const visit = (frame: ScannedFrame) => {
      frames++;
      if (acks.has(frame.id)) segment.settledFrames++;
      else spans += frame.spanCount;
      lastId = Math.max(lastId, frame.id);
      newestMillis = Math.max(newestMillis, frame.wallMillis);
    };
    const scan = await scanFrames(file, SEGMENT_HEADER_BYTES, size, visit);
    await this.cutTail(segment, scan, size);
    return { frames, spans, lastId, newestMillis, end: scan.end };
  }

  /** What follows the last intact frame is what a crash has left of an append. */
  private async cutTail(segment: Segment, { end, corrupt, torn }: Scan, size: number): Promise<void> {
    add(this.corrupt, corrupt);
    add(this.torn, torn);
    if (end >= size) return;
    const { fileSystem } = this.options;
    await quietly(
      fileSystem.open(segmentPath(segment), 'update').then(async (file) => {
        await file.truncate(end).finally(() => file.close());
      }),
    );
  }

  /** Nothing in it counts. The segment before its notes: without them all of it would come back. */
  private async discard(segment: Segment): Promise<void> {
    const { fileSystem, directory } = this.options;
    const isRemoved = await quietly(fileSystem.remove(segmentPath(segment)));
    if (!isRemoved) this.segments.push(segment);
    else if (this.ackNames.has(ackName(segment.number)) && (await quietly(fileSystem.syncDirectory(directory)))) {
      await quietly(fileSystem.remove(`${directory}/${ackName(segment.number)}`));
    }
  }
}

async function readSeal(file: OpenFile, size: number): Promise<Seal | undefined> {
  const offset = size - SEAL_BYTES;
  if (offset < SEGMENT_HEADER_BYTES) return undefined;
  const seal = decodeSeal(await readFully(file, offset, SEAL_BYTES));
  return seal?.offset === offset ? seal : undefined;
}

function add(sum: Damage, damage: Damage): void {
  sum.bytes += damage.bytes;
  sum.frames += damage.frames;
  sum.spans += damage.spans;
}
