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

  start(
    directory: string,
    { namespace = '0'.repeat(16), clock = new VirtualClock(), with: own = fs as CheckpointFs } = {},
  ) {
    const self: ProcessIdentity = { pid: this.pids++, startTime: 1, namespace };
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
}

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
    expect(machine.start(elsewhere).checkpoint.lostToCrash).toBeUndefined();
  });

  it('never throws into the application, and goes on when it can', async () => {
    const directory = scratch();
    const machine = new Machine();
    let broken = true;
    const full = () => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    const flaky = new Proxy(fs, { get: (target, key) => (broken ? full : target[key as never]) }) as CheckpointFs;
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
});
