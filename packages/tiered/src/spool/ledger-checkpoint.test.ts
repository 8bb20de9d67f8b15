import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger, totalDropped } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { RECORD_BYTES } from './checkpoint-record.js';
import { type CheckpointFs, isCheckpointName, LedgerCheckpoint } from './ledger-checkpoint.js';
import type { Processes, ProcessIdentity } from './process-identity.js';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

function scratch(): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-resilience-checkpoint-'));
  directories.push(directory);
  return directory;
}

/** Processes of a machine, which can be killed. */
class Machine {
  readonly dead = new Set<number>();
  private pids = 100;
  /** Of the kernel: another after each crash of the machine. */
  private boot = 'a'.repeat(16);

  start(
    directory: string,
    { namespace = '0'.repeat(16), clock = new VirtualClock(), with: own = fs as CheckpointFs } = {},
  ) {
    const self: ProcessIdentity = { pid: this.pids++, startTime: 1, namespace, boot: this.boot };
    const processes: Processes = { self: () => self, isAlive: ({ pid }) => !this.dead.has(pid) };
    const ledger = new Ledger();
    const books = {
      read: () => {
        const { ended, dropped } = ledger.snapshot();
        return { ended, settled: totalDropped(dropped) };
      },
      witness: ledger.witness.bind(ledger),
    };
    const checkpoint = new LedgerCheckpoint({ directory, books, clock, processes, fs: own });
    checkpoint.start();
    const end = (spans: number) => {
      for (let i = 0; i < spans; i++) ledger.endQueued();
    };
    /** As a kill: its timers do nothing any more. */
    const kill = () => this.dead.add(self.pid);
    return { checkpoint, ledger, clock, end, kill };
  }

  /** Of what was written, the disk has what it likes. */
  crash(): void {
    for (let pid = 100; pid < this.pids; pid++) this.dead.add(pid);
    this.boot = 'b'.repeat(16);
  }
}

const enospc = () => {
  throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
};
const keepBlank = (file: number, bytes: Uint8Array, at: number, length: number, to: number) =>
  bytes.every((byte) => byte === 0) ? fs.writeSync(file, bytes, at, length, to) : length;
/** The calls that are replaced do something else. */
const fsWith = (calls: Partial<Record<keyof CheckpointFs, unknown>>): CheckpointFs =>
  ({ ...fs, ...calls }) as CheckpointFs;

const files = (directory: string) => fs.readdirSync(directory).filter(isCheckpointName);

describe('LedgerCheckpoint', () => {
  it('says of a process that was killed at any moment that it lost no fewer spans than it did', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('end' as const), spans: fc.integer({ min: 1, max: 3_000 }) }),
      fc.record({ kind: fc.constant('settle' as const), spans: fc.integer({ min: 1, max: 3_000 }) }),
      fc.record({ kind: fc.constant('wait' as const), millis: fc.integer({ min: 1, max: 7_000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const directory = scratch();
        const machine = new Machine();
        const victim = machine.start(directory);
        for (const each of steps) {
          if (each.kind === 'end') victim.end(each.spans);
          else if (each.kind === 'wait') await victim.clock.advance(each.millis);
          else victim.ledger.dropQueued(Math.min(each.spans, victim.ledger.snapshot().queued), 'queue_full');
        }
        victim.kill();
        const { queued } = victim.ledger.snapshot();
        const { checkpoint } = machine.start(directory);
        expect(checkpoint.lostToCrash?.processes).toBe(1);
        expect(checkpoint.lostToCrash?.unbounded).toBeUndefined();
        expect(checkpoint.lostToCrash?.atMost).toBeGreaterThanOrEqual(queued);
        checkpoint.close();
        victim.checkpoint.close();
      }),
      { numRuns: 60 },
    );
  });

  it('is near the truth: what waits, and an eighth of what ends in a second', async () => {
    const directory = scratch();
    const machine = new Machine();
    const victim = machine.start(directory);
    for (let second = 0; second < 5; second++) {
      victim.end(1_000);
      await victim.clock.advance(1_000);
    }
    victim.ledger.dropQueued(4_900, 'queue_full');
    await victim.clock.advance(1_000);
    victim.end(600);
    victim.kill();
    const { atMost } = machine.start(directory).checkpoint.lostToCrash!;
    expect(atMost).toBeGreaterThanOrEqual(700);
    expect(atMost).toBeLessThanOrEqual(700 + 125);
  });

  it('says nothing of one that was shut down, and leaves nothing', async () => {
    const directory = scratch();
    const machine = new Machine();
    const { checkpoint, clock, end } = machine.start(directory);
    end(10);
    await clock.advance(3_000);
    checkpoint.close();
    checkpoint.close();
    expect(files(directory)).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    end(100_000); // nobody is asked any more
    expect(machine.start(directory).checkpoint.lostToCrash).toBeUndefined();
  });

  it('leaves that of a living process alone, and finds it later, once', async () => {
    const directory = scratch();
    const machine = new Machine();
    const first = machine.start(directory);
    first.end(50);
    const [second, third] = [machine.start(directory), machine.start(directory)];
    expect(second.checkpoint.lostToCrash).toBeUndefined();
    first.kill();
    await second.clock.advance(10_000);
    await third.clock.advance(10_000);
    expect(second.checkpoint.lostToCrash).toMatchObject({ processes: 1 });
    expect(second.checkpoint.lostToCrash!.atMost).toBeGreaterThanOrEqual(50);
    expect(third.checkpoint.lostToCrash).toBeUndefined();
    expect(files(directory)).toHaveLength(2);
  });

  it('adds up those of several', () => {
    const directory = scratch();
    const machine = new Machine();
    const victims = [machine.start(directory), machine.start(directory)];
    for (const { end, kill } of victims) {
      end(40);
      kill();
    }
    const { lostToCrash } = machine.start(directory).checkpoint;
    expect(lostToCrash?.processes).toBe(2);
    expect(lostToCrash?.atMost).toBeGreaterThanOrEqual(80);
  });

  it('judges one whose pid means nothing here by its silence alone', async () => {
    const directory = scratch();
    const machine = new Machine();
    const clock = new VirtualClock();
    const other = machine.start(directory, { namespace: 'f'.repeat(16), clock });
    const own = machine.start(directory, { clock });
    await clock.advance(120_000);
    expect(own.checkpoint.lostToCrash).toBeUndefined();
    const name = files(directory).find((each) => each.includes('f'.repeat(16)))!;
    const last = fs.readFileSync(join(directory, name));
    other.checkpoint.close(); // and as if it had been killed instead
    fs.writeFileSync(join(directory, name), last);
    await clock.advance(20_000);
    expect(own.checkpoint.lostToCrash).toBeUndefined();
    await clock.advance(40_000);
    expect(own.checkpoint.lostToCrash).toMatchObject({ processes: 1 });
  });

  it('reads the record before one that is torn, and nothing out of nonsense', async () => {
    const directory = scratch();
    const machine = new Machine();
    const victim = machine.start(directory);
    victim.end(5);
    await victim.clock.advance(1_000);
    victim.end(100);
    victim.kill();
    const path = join(directory, files(directory)[0]!);
    const bytes = fs.readFileSync(path);
    const sequences = [0, 1].map((place) => bytes.readBigUInt64LE(place * RECORD_BYTES + 8));
    const newest = sequences[0]! > sequences[1]! ? 0 : 1;
    bytes[newest * RECORD_BYTES + 30]! ^= 0xff;
    fs.writeFileSync(path, bytes);
    expect(machine.start(directory).checkpoint.lostToCrash?.atMost).toBeGreaterThanOrEqual(5);

    const elsewhere = scratch();
    machine.start(elsewhere).kill();
    fs.writeFileSync(join(elsewhere, files(elsewhere)[0]!), 'nonsense');
    // Neither a number nor silence, which would be one.
    expect(machine.start(elsewhere).checkpoint.lostToCrash).toEqual({
      processes: 1,
      atMost: 0,
      unbounded: 1,
      lastHeardOf: 0,
    });
  });

  it('never throws into the application, and goes on when it can', async () => {
    const directory = scratch();
    const machine = new Machine();
    let broken = true;
    const flaky = new Proxy(fs, { get: (target, key) => (broken ? enospc : target[key as never]) }) as CheckpointFs;
    const victim = machine.start(directory, { with: flaky });
    victim.end(1_000);
    broken = false;
    await victim.clock.advance(1_000);
    broken = true;
    victim.end(10);
    broken = false;
    victim.kill();
    expect(machine.start(directory).checkpoint.lostToCrash!.atMost).toBeGreaterThanOrEqual(1_010);
  });

  it('says nothing of one that was killed before its first span', () => {
    const directory = scratch();
    const machine = new Machine();
    const victim = machine.start(directory, { with: fsWith({ writeSync: keepBlank }) });
    victim.kill();
    expect(fs.readFileSync(join(directory, files(directory)[0]!)).every((byte) => byte === 0)).toBe(true);
    expect(machine.start(directory).checkpoint.lostToCrash).toBeUndefined();
  });

  describe('after a crash of the machine', () => {
    it.each([
      ['as it was written last', (path: string) => fs.readFileSync(path)],
      ['as it was seconds before', () => undefined],
      ['as a file whose content never got there', () => Buffer.alloc(0)],
      ['as a file of zeros', () => Buffer.alloc(2 * RECORD_BYTES)],
    ])('does not take what is found for a bound: %s', async (_, found) => {
      const directory = scratch();
      const machine = new Machine();
      const victim = machine.start(directory);
      victim.end(5);
      await victim.clock.advance(1_000);
      const path = join(directory, files(directory)[0]!);
      const before = fs.readFileSync(path);
      victim.end(10_000);
      const after = found(path) ?? before;
      fs.writeFileSync(path, after);
      machine.crash();
      const { lostToCrash } = machine.start(directory).checkpoint;
      expect(lostToCrash).toMatchObject({ processes: 1, unbounded: 1 });
    });

    it('finds something of each process, since that there is a file is made durable', async () => {
      const directory = scratch();
      const synced: number[] = [];
      const opened: string[] = [];
      const own = fsWith({
        openSync: (path: string, ...rest: [string, number?]) => {
          const file = fs.openSync(path, ...rest);
          opened[file] = path;
          return file;
        },
        fsync: (file: number, done: () => void) => {
          synced.push(file);
          done();
        },
      });
      new Machine().start(directory, { with: own });
      const [name] = files(directory);
      expect(synced.map((file) => opened[file])).toEqual([join(directory, name!), directory]);
    });

    it('adds it to what is known of others', async () => {
      const directory = scratch();
      const machine = new Machine();
      machine.start(directory).end(40);
      machine.crash();
      const killed = machine.start(directory);
      expect(killed.checkpoint.lostToCrash).toMatchObject({ processes: 1, unbounded: 1 });
      killed.end(40);
      killed.kill();
      const { lostToCrash } = machine.start(directory).checkpoint;
      expect(lostToCrash).toMatchObject({ processes: 1 });
      expect(lostToCrash).not.toHaveProperty('unbounded');
    });
  });

  it.each([
    ['fails', enospc],
    [
      'writes a part',
      (file: number, bytes: Uint8Array, at: number, _: number, to: number) => fs.writeSync(file, bytes, at, 7, to),
    ],
  ])('leaves no bound where the disk %s', async (_, writeSync) => {
    const directory = scratch();
    const machine = new Machine();
    const calls = { ...fs, writeSync: fs.writeSync as unknown };
    const victim = machine.start(directory, { with: calls as CheckpointFs });
    victim.end(10);
    await victim.clock.advance(1_000);
    calls.writeSync = writeSync;
    victim.end(100_000);
    victim.kill();
    expect(machine.start(directory).checkpoint.lostToCrash).toMatchObject({ processes: 1, unbounded: 1 });
  });

  it('throws nothing into the application when what was synced cannot be closed', async () => {
    const synced: Array<() => void> = [];
    const own = fsWith({
      fsync: (_: number, done: () => void) => synced.push(done),
      closeSync: (file: number) => {
        fs.closeSync(file);
        throw Object.assign(new Error('EIO'), { code: 'EIO' });
      },
    });
    const { clock } = new Machine().start(scratch(), { with: own });
    await clock.advance(1_000);
    expect(synced.shift()).not.toThrow();
    expect(synced).toHaveLength(1); // that of the directory
    expect(synced.shift()).not.toThrow();
  });

  it('opens one file, however long the disk is full', async () => {
    const directory = scratch();
    let open = 0;
    const own = fsWith({
      writeSync: enospc,
      openSync: (...given: Parameters<typeof fs.openSync>) => {
        open++;
        return fs.openSync(...given);
      },
      closeSync: (file: number) => {
        open--;
        fs.closeSync(file);
      },
      fsync: (_: number, done: () => void) => done(),
    });
    const { clock } = new Machine().start(directory, { with: own });
    await clock.advance(60_000);
    expect(open).toBe(1);
  });

  it.each([
    ['the file', (directory: string) => fs.rmSync(join(directory, files(directory)[0]!))],
    ['the directory', (directory: string) => fs.rmSync(directory, { recursive: true })],
  ])('begins another when somebody has removed %s', async (_, remove) => {
    const directory = scratch();
    const machine = new Machine();
    const victim = machine.start(directory);
    victim.end(50);
    await victim.clock.advance(1_000);
    remove(directory);
    await victim.clock.advance(7_000);
    victim.end(50);
    victim.kill();
    const { lostToCrash } = machine.start(directory).checkpoint;
    expect(lostToCrash).toMatchObject({ processes: 1 });
    expect(lostToCrash!.atMost).toBeGreaterThanOrEqual(100);
  });

  it('finds the others beside one that cannot be read, and beside a pipe to which nobody writes', () => {
    const directory = scratch();
    const machine = new Machine();
    const nobody = `${'0'.repeat(16)}-${'0'.repeat(16)}`;
    const odd = [`checkpoint-1-1-${nobody}`, `checkpoint-2-1-${nobody}`];
    fs.mkdirSync(join(directory, odd[0]!));
    execFileSync('mkfifo', [join(directory, odd[1]!)]);
    machine.dead.add(1).add(2);
    const victim = machine.start(directory);
    victim.end(40);
    victim.kill();
    const { lostToCrash } = machine.start(directory).checkpoint;
    expect(lostToCrash!.atMost).toBeGreaterThanOrEqual(40);
  });
});
