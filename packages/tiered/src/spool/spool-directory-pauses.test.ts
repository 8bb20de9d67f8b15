import type { Clock, OpenFile } from '@otel-resilience/core';
import { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { codeOf } from './file-errors.js';
import { newToken } from './frame.js';
import { numberOf, SEGMENT_NAME, segmentName } from './segment.js';
import { SimulatedMachine, type SimulatedProcess } from './simulated-process.test-support.js';
import { acquireDirectory, type OwnedDirectory } from './spool-directory.js';

const ROOT = '/spool';
const LINES_PER_SEGMENT = 5;

// Containers that share a volume: they cannot see each other's processes, and any of them may stop for a while, or for
// ever, at any call. Each appends lines to segments, and drains those of others, as a spool does.
it('loses nothing that was acknowledged, whoever is taken for dead', async () => {
  const writers: Writer[] = [];
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.array(
        fc.record({
          container: fc.nat({ max: 2 }),
          lines: fc.integer({ min: 20, max: 50 }),
          pauses: fc.array(
            fc.record({ calls: fc.integer({ min: 10, max: 150 }), millis: fc.constantFrom(25_000, 50_000, 100_000) }),
            {
              minLength: 1,
              maxLength: 4,
            },
          ),
          diesAfter: fc.option(fc.nat({ max: 600 })),
        }),
        { minLength: 2, maxLength: 4 },
      ),
      async (seed, plans) => {
        const clock = new VirtualClock();
        const disk = new FaultyDisk({ seed });
        const machines = ['aa', 'bb', 'cc', 'dd'].map((name) => new SimulatedMachine(`00000000000000${name}`));
        const acknowledged: string[] = [];
        const drained = new Set<string>();
        const works = plans.map(async ({ container, lines, pauses, diesAfter }, index) => {
          const process = machines[container]!.start(disk);
          stopNowAndThen(process, clock, pauses, diesAfter ?? Number.POSITIVE_INFINITY);
          const writer = new Writer(process, clock, drained);
          writers.push(writer);
          for (let line = 0; line < lines; line++) {
            if (await writer.append(`${index}-${line}`)) acknowledged.push(`${index}-${line}`);
            await pass(clock, 4_000);
          }
          await writer.close();
        });
        await clock.advance(1_000_000);
        await Promise.race([Promise.all(works), new Promise((resolve) => setImmediate(resolve))]);
        const heir = new Writer(machines[3]!.start(disk), clock, drained);
        await heir.append('the last');
        await clock.advance(100_000);
        await heir.close();
        expect(acknowledged.filter((line) => !drained.has(line) && !heir.own.has(line))).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
  // Or it has shown nothing.
  const losses = writers.reduce((sum, writer) => sum + writer.losses, 0);
  expect(losses).toBeGreaterThan(20);
});

/** Before any call, the whole process. */
function stopNowAndThen(
  process: SimulatedProcess,
  clock: Clock,
  pauses: ReadonlyArray<{ readonly calls: number; readonly millis: number }>,
  diesAfter: number,
): void {
  const queue = [...pauses];
  let calls = 0;
  let sinceLast = 0;
  let stopped = Promise.resolve();
  process.before = async () => {
    if (++calls > diesAfter) process.kill();
    if (queue[0] && ++sinceLast >= queue[0].calls) {
      sinceLast = 0;
      stopped = pass(clock, queue.shift()!.millis);
    }
    await stopped;
  };
}

const pass = (clock: Clock, millis: number) => new Promise<void>((resolve) => clock.setTimeout(resolve, millis));

class Writer {
  /** Lines in segments of its own. */
  readonly own = new Set<string>();
  losses = 0;
  private readonly process: SimulatedProcess;
  private readonly clock: Clock;
  /** By path: what was read of segments that are to be removed. */
  private readonly read = new Map<string, readonly string[]>();
  private owned: OwnedDirectory | undefined;
  private file: OpenFile | undefined;
  private isLost = false;
  private number = 0;
  private end = 0;
  private lines = 0;

  constructor(process: SimulatedProcess, clock: Clock, drained: Set<string>) {
    this.process = process;
    this.clock = clock;
    // Drained is what was removed, and no more than that: also where this process is killed before it hears of it.
    process.done = (call, path) => {
      if (call !== 'remove') return;
      for (const line of this.read.get(path) ?? []) drained.add(line);
    };
  }

  /** Whether it was acknowledged. */
  async append(line: string): Promise<boolean> {
    try {
      if (this.isLost || this.lines++ % LINES_PER_SEGMENT === 0) await this.finish();
      if (this.isLost) this.owned = undefined;
      this.owned ??= await this.acquire();
      this.file ??= await this.begin(this.owned);
      const bytes = Buffer.from(`${line}\n`);
      await this.file.write([bytes], this.end);
      this.end += bytes.length;
      this.own.add(line);
      return true;
    } catch (error) {
      // Late: it had stopped between the question whether the directory was its own and what it did then.
      if (!['ENOENT', 'EEXIST'].includes(codeOf(error) ?? '')) expect(String(error)).toMatch('has taken');
      await this.finish();
      return false;
    }
  }

  async close(): Promise<void> {
    await this.finish();
    await this.owned?.release();
  }

  private async acquire(): Promise<OwnedDirectory> {
    this.isLost = false;
    const { process: fileSystem, clock } = this;
    const owned = await acquireDirectory({ directory: ROOT, fileSystem, clock, processes: fileSystem.processes });
    owned.watch({
      nextNumber: () => ++this.number,
      onAdopted: (names) => void this.drain(owned, names).catch(() => {}),
      onLost: () => {
        this.losses++;
        this.isLost = true;
      },
      onTrouble: () => {},
    });
    try {
      const names = (await fileSystem.list(owned.path)).filter((name) => SEGMENT_NAME.test(name));
      this.number = Math.max(0, ...names.map(numberOf));
      await this.drain(owned, names);
    } catch (error) {
      await owned.release();
      throw error;
    }
    return owned;
  }

  private begin({ fileSystem, path }: OwnedDirectory): Promise<OpenFile> {
    this.end = 0;
    return fileSystem.open(`${path}/${segmentName(++this.number, newToken())}`, 'create');
  }

  private async finish(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    await file?.close();
  }

  /** What it says now is all that anybody will ever read of it. */
  private async drain({ fileSystem, path }: OwnedDirectory, names: readonly string[]): Promise<void> {
    for (const name of names) {
      const file = await fileSystem.open(`${path}/${name}`, 'read');
      const bytes = Buffer.alloc(await file.size());
      await file.read(bytes, 0);
      await file.close();
      this.read.set(`${path}/${name}`, bytes.toString().split('\n'));
      await fileSystem.remove(`${path}/${name}`);
    }
  }
}
