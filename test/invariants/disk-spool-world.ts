import {
  deliveredOutcome,
  type ExportOutcome,
  type FileSystem,
  failedOutcome,
  followedBy,
  giveUp,
  SpanBatch,
  totalDropped,
} from '@otel-resilience/core';
import {
  type CrashOptions,
  type DiskFault,
  type DiskMoment,
  type DiskOperationKind,
  FaultyDisk,
  fakeSpan,
  VirtualClock,
} from '@otel-resilience/testing';
import { Spool, type SpoolLease, type SpoolOptions } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { vi } from 'vitest';
import { systemProcesses } from '../../packages/tiered/src/spool/process-identity.js';

/** What may happen to a spool and to the disk below it. */
export type SpoolCommand =
  | { readonly kind: 'append'; readonly batches: ReadonlyArray<{ readonly spans: number; readonly bytes: number }> }
  | { readonly kind: 'lease'; readonly count: number }
  | { readonly kind: 'settle'; readonly which: number; readonly how: (typeof OUTCOMES)[number] }
  | { readonly kind: 'wait'; readonly millis: number }
  | { readonly kind: 'shutdown' | 'kill' | 'heal' }
  | { readonly kind: 'crash'; readonly keep: CrashOptions['keep'] }
  | { readonly kind: 'fail'; readonly fault: DiskFault }
  | { readonly kind: 'fill'; readonly freeBytes: number };

export interface SpoolSettings {
  readonly fsync: 'always' | 'interval' | 'never';
  readonly order: 'oldest' | 'newest';
  readonly maxSegmentBytes: number;
  readonly shortWrites: number;
  readonly shortReads: number;
}

const OUTCOMES = ['delivered', 'delivered', 'retryable', 'part', 'permanent', 'poison', 'nonsense'] as const;

const FAILING: ReadonlyArray<readonly DiskOperationKind[]> = [
  ['write'],
  ['sync'],
  ['syncDirectory'],
  ['create'],
  ['remove'],
  ['truncate'],
  ['rename'],
  ['open', 'read'],
  ['write', 'sync', 'syncDirectory', 'create', 'truncate'],
];

export const settings: fc.Arbitrary<SpoolSettings> = fc.record({
  fsync: fc.constantFrom('always' as const, 'always' as const, 'interval' as const, 'never' as const),
  order: fc.constantFrom('oldest' as const, 'newest' as const),
  maxSegmentBytes: fc.constantFrom(1_024, 4_000, 60_000),
  shortWrites: fc.constantFrom(0, 0.3),
  shortReads: fc.constantFrom(0, 0.3),
});

const batch = fc.record({ spans: fc.integer({ min: 1, max: 4 }), bytes: fc.constantFrom(0, 0, 400, 3_000) });
const append = fc.record({
  kind: fc.constant('append' as const),
  batches: fc.array(batch, { minLength: 1, maxLength: 4 }),
});
const wait = fc.record({
  kind: fc.constant('wait' as const),
  millis: fc.constantFrom(0, 10, 100, 499, 501, 1_000, 70_000),
});

/** Without trouble of the disk's own. */
export const calmCommand: fc.Arbitrary<SpoolCommand> = fc.oneof(
  { weight: 7, arbitrary: append },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('lease' as const), count: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('settle' as const), which: fc.nat(9), how: fc.constantFrom(...OUTCOMES) }),
  },
  { weight: 4, arbitrary: wait },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('shutdown' as const, 'kill' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      keep: fc.constantFrom('some' as const, 'some' as const, 'none' as const),
    }),
  },
);

export const anyCommand: fc.Arbitrary<SpoolCommand> = fc.oneof(
  { weight: 10, arbitrary: calmCommand },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      fault: fc.record({
        operations: fc.constantFrom(...FAILING),
        code: fc.constantFrom('EIO', 'ENOSPC', 'EACCES'),
        after: fc.nat(4),
        times: fc.constantFrom(1, 1, 2, 5, 20),
      }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fill' as const), freeBytes: fc.nat(5_000) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'heal' as const }) },
);

/** What was promised of a span. */
interface Promise_ {
  readonly acknowledgedAt: number;
  /** Settled for good: it may come again, and need not. */
  isSettled: boolean;
  survivesKill: boolean;
  survivesCrash: boolean;
}

/** A disk as a crash has left it, to be looked at. */
interface Outcome {
  readonly disk: FaultyDisk;
  readonly promised: readonly string[];
  readonly how: string;
}

export interface WorldOptions {
  readonly settings: SpoolSettings;
  readonly seed: number;
  /** The share of moments (before and after each operation of the disk) at which it is looked what a crash would do. */
  readonly looks: number;
  /** Between the spool and the disk. */
  readonly through?: (disk: FileSystem) => FileSystem;
}

/** Of the process that runs: after a crash it is another one, and those before it are dead. */
let pid = 1;

export function simulateProcesses(): void {
  const namespace = '0'.repeat(16);
  vi.spyOn(systemProcesses, 'self').mockImplementation(() => ({ pid, startTime: 1, namespace }));
  vi.spyOn(systemProcesses, 'isAlive').mockImplementation((other) => other.pid === pid);
}

const DIRECTORY = '/var/spool/spans';
const INTERVAL_MILLIS = 500;
const MAX_BYTES = 10_000_000;
const GIVE_UP_MILLIS = 600_000;

/**
 * A spool over a disk that forgets, and a model of what it has promised. Before and after any operation of the disk the
 * power may fail: a new spool then has to find what was promised up to there, whatever else the disk has kept.
 */
export class DiskSpoolWorld {
  private readonly options: WorldOptions;
  private readonly random: () => number;
  private disk: FaultyDisk;
  private clock = new VirtualClock();
  private spool!: Spool;
  private openedAt = 0;
  private spans = new Map<string, Promise_>();
  private readonly everAppended = new Map<string, number>();
  private leases: Array<{ lease: SpoolLease; names: string[] }> = [];
  private counts = { accepted: 0, delivered: 0, rejected: 0, poison: 0 };
  private readonly outcomes: Outcome[] = [];

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = seeded(options.seed);
    const { shortWrites, shortReads } = options.settings;
    this.disk = new FaultyDisk({
      seed: options.seed,
      shortWrites,
      shortReads,
      onOperation: (moment) => this.onMoment(moment),
    });
  }

  async run(commands: readonly SpoolCommand[]): Promise<void> {
    await this.disk.makeDirectory('/var/spool');
    await this.disk.syncDirectory('/');
    await this.disk.syncDirectory('/var');
    this.start();
    for (const command of commands) {
      await this.make(command);
      this.note();
      this.checkLedger();
      this.look('some');
      await this.checkOutcomes();
    }
    await this.restart('shutdown');
    this.look('none');
    await this.checkOutcomes();
  }

  private async make(command: SpoolCommand): Promise<void> {
    switch (command.kind) {
      case 'append':
        await this.clock.run(Promise.all(command.batches.map((each) => this.append(each))), GIVE_UP_MILLIS);
        return;
      case 'lease':
        for (let i = 0; i < command.count; i++) await this.lease();
        return;
      case 'settle':
        return this.settle(command.which, command.how);
      case 'wait':
        return this.clock.advance(command.millis);
      case 'fail':
        return this.disk.fail({ ...command.fault, path: /spans/ });
      case 'fill':
        this.disk.capacityBytes = Math.max(1, this.disk.usedBytes + command.freeBytes);
        return;
      case 'heal':
        this.disk.heal();
        this.disk.capacityBytes = undefined;
        return;
      case 'crash':
        return this.restart('crash', command.keep);
      default:
        return this.restart(command.kind);
    }
  }

  private async append({ spans, bytes }: { spans: number; bytes: number }): Promise<void> {
    const names = Array.from({ length: spans }, (_, i) => `span ${this.everAppended.size + i}`);
    for (const name of names) this.everAppended.set(name, bytes);
    const { spool } = this;
    const batch = SpanBatch.fromSpans(names.map((name) => spanOf(name, bytes)));
    const { stored, dropped } = await spool.append(batch);
    if (stored + dropped !== spans || (stored > 0 && dropped > 0)) throw new Error(`append: ${stored} + ${dropped}`);
    if (spool !== this.spool || stored === 0) return;
    this.counts.accepted += stored;
    const acknowledgedAt = this.clock.now();
    for (const name of names) {
      this.spans.set(name, { acknowledgedAt, isSettled: false, survivesKill: false, survivesCrash: false });
    }
  }

  private async lease(): Promise<void> {
    // A disk that fails to read says so.
    const lease = await this.clock.run(
      this.spool.lease().catch(() => undefined),
      GIVE_UP_MILLIS,
    );
    if (lease) this.leases.push({ lease, names: this.namesIn(lease.batch) });
  }

  private settle(which: number, how: (typeof OUTCOMES)[number]): void {
    const [taken] = this.leases.splice(which % Math.max(1, this.leases.length), 1);
    if (!taken) return;
    const { lease, names } = taken;
    const { outcome, settled } = outcomeOf(lease.batch, how);
    for (const name of names.slice(0, settled)) {
      const promise = this.spans.get(name);
      if (promise) promise.isSettled = true;
    }
    if (how !== 'nonsense') {
      this.counts.delivered += outcome.delivered;
      this.counts.poison += outcome.dropped.poison ?? 0;
      if (outcome.failure === 'permanent') this.counts.rejected += outcome.remaining?.spanCount ?? 0;
    }
    lease.settle(outcome);
  }

  /** What is promised by now. */
  private note(): void {
    const { fsync } = this.options.settings;
    if (!this.spool.durable) return;
    const now = this.clock.now();
    for (const promise of this.spans.values()) {
      promise.survivesKill = true;
      if (fsync === 'always') promise.survivesCrash = true;
      const since = Math.max(promise.acknowledgedAt, this.openedAt);
      if (fsync === 'interval' && now - since > INTERVAL_MILLIS) promise.survivesCrash = true;
    }
  }

  private onMoment({ disk, when, operation }: DiskMoment): void {
    if (disk !== this.disk || !this.spool) return;
    this.note();
    if (this.random() > this.options.looks) return;
    this.look(this.random() < 0.8 ? 'some' : 'none', `${when} ${operation.kind} ${operation.path}`);
  }

  /** The machine, or the process, might fail now. */
  private look(keep: CrashOptions['keep'], moment = 'between commands'): void {
    const isKill = this.random() < 0.2;
    const promised = [...this.spans].filter(([, { isSettled, survivesKill, survivesCrash }]) => {
      return !isSettled && (isKill ? survivesKill : survivesCrash);
    });
    this.outcomes.push({
      disk: isKill ? this.disk.kill() : this.disk.crash({ keep }),
      promised: promised.map(([name]) => name),
      how: `${isKill ? 'a kill' : `a crash that keeps ${keep}`} ${moment}`,
    });
  }

  private async checkOutcomes(): Promise<void> {
    for (const { disk, promised, how } of this.outcomes.splice(0)) {
      const seen = await this.drain(disk);
      const lost = promised.filter((name) => !seen.has(name));
      if (lost.length > 0) throw new Error(`${how} loses ${lost.join(', ')}: ${JSON.stringify(disk.lost)}`);
    }
  }

  /** All that a new process finds. */
  private async drain(disk: FaultyDisk): Promise<Set<string>> {
    const clock = this.clockAfter(1_000);
    const pidBefore = pid++;
    disk.capacityBytes = undefined;
    const spool = this.makeSpool(disk, clock);
    const seen = new Set<string>();
    await clock.run(spool.open(), GIVE_UP_MILLIS);
    for (;;) {
      const lease = await clock.run(spool.lease(), GIVE_UP_MILLIS);
      if (!lease) break;
      for (const name of this.namesIn(lease.batch)) seen.add(name);
      lease.settle(deliveredOutcome(lease.batch.spanCount));
    }
    await clock.run(spool.shutdown(), GIVE_UP_MILLIS);
    const stats = spool.stats();
    const { accepted, recovered, waiting, delivered, rejected, dropped, balanced } = stats;
    const isSound = balanced && accepted + waiting + rejected === 0 && recovered === delivered + totalDropped(dropped);
    if (!isSound) throw new Error(`after a crash: ${JSON.stringify(stats)}`);
    this.checkIdle(spool, disk, clock);
    pid = pidBefore;
    return seen;
  }

  private async restart(how: 'shutdown' | 'kill' | 'crash', keep?: CrashOptions['keep']): Promise<void> {
    const { spool, disk, clock } = this;
    if (how === 'shutdown') {
      const before = disk.operations.length;
      await clock.run(spool.shutdown(), GIVE_UP_MILLIS);
      this.note();
      this.checkLedger();
      this.checkIdle(spool, disk, clock);
      const isCalm = disk.operations.slice(before).every(({ error }) => error === undefined);
      const isSaved = spool.durable && !spool.stats().dropped.shutdown;
      if (isCalm && isSaved && this.options.settings.fsync !== 'never') {
        for (const promise of this.spans.values()) promise.survivesCrash ||= promise.survivesKill;
      }
    }
    this.disk = how === 'crash' ? disk.crash({ keep }) : disk.kill();
    for (const [name, { survivesKill, survivesCrash }] of this.spans) {
      if (!(how === 'crash' ? survivesCrash : survivesKill)) this.spans.delete(name);
    }
    this.leases = [];
    this.counts = { accepted: 0, delivered: 0, rejected: 0, poison: 0 };
    this.clock = this.clockAfter(1_000);
    this.start();
    await this.clock.run(this.spool.open(), GIVE_UP_MILLIS);
    this.openedAt = this.clock.now();
  }

  private start(): void {
    pid++;
    this.spool = this.makeSpool(this.disk, this.clock);
    this.openedAt = this.clock.now();
  }

  private makeSpool(disk: FaultyDisk, clock: VirtualClock): Spool {
    const { fsync, order, maxSegmentBytes } = this.options.settings;
    const options: SpoolOptions = {
      directory: DIRECTORY,
      fileSystem: this.options.through?.(disk) ?? disk,
      clock,
      fsync,
      fsyncIntervalMillis: INTERVAL_MILLIS,
      order,
      maxSegmentBytes,
      maxBytes: MAX_BYTES,
    };
    return new Spool(options);
  }

  private clockAfter(millis: number): VirtualClock {
    return new VirtualClock({ now: this.clock.now() + millis, wallTime: this.clock.wallTime() + millis });
  }

  private checkLedger(): void {
    const stats = this.spool.stats();
    const { accepted, delivered, rejected, dropped, waiting, balanced } = stats;
    const isSound =
      balanced &&
      waiting === this.spool.size &&
      accepted === this.counts.accepted &&
      delivered === this.counts.delivered &&
      rejected === this.counts.rejected &&
      (dropped.poison ?? 0) === this.counts.poison &&
      this.spool.bytes <= MAX_BYTES;
    if (!isSound) {
      throw new Error(`${JSON.stringify(stats)} of ${this.spool.bytes} bytes, not ${JSON.stringify(this.counts)}`);
    }
  }

  private checkIdle(spool: Spool, disk: FaultyDisk, clock: VirtualClock): void {
    if (disk.openFiles > 0 || clock.pendingTimers > 0) {
      throw new Error(`after shutdown ${disk.openFiles} files are open, ${clock.pendingTimers} timers pending`);
    }
    if (spool.status().mode !== 'closed') throw new Error(`after shutdown: ${spool.status().mode}`);
  }

  /** They are spans that were appended, whole. */
  private namesIn(batch: SpanBatch): string[] {
    return batch.spans().map(({ name, attributes }) => {
      const bytes = this.everAppended.get(name);
      if (attributes.blob !== 'x'.repeat(bytes ?? -1)) throw new Error(`was never appended so: ${name}`);
      return name;
    });
  }
}

const spanOf = (name: string, bytes: number) => fakeSpan({ name, attributes: { blob: 'x'.repeat(bytes) }, events: [] });

/** `settled`: the first so many spans are gone for good. */
function outcomeOf(batch: SpanBatch, how: (typeof OUTCOMES)[number]): { outcome: ExportOutcome; settled: number } {
  const { spanCount } = batch;
  const failed = failedOutcome(batch, 'retryable', new Error('down'));
  switch (how) {
    case 'delivered':
      return { outcome: deliveredOutcome(spanCount), settled: spanCount };
    case 'retryable':
      return { outcome: failed, settled: 0 };
    case 'permanent':
      return { outcome: failedOutcome(batch, 'permanent', new Error('400')), settled: spanCount };
    case 'poison':
      return { outcome: giveUp(failed, 'poison'), settled: spanCount };
    case 'nonsense':
      return { outcome: deliveredOutcome(spanCount + 1), settled: 0 };
    case 'part': {
      const taken = Math.floor(spanCount / 2);
      const rest = failedOutcome(batch.slice(taken), 'retryable', new Error('partly'));
      return { outcome: followedBy(deliveredOutcome(taken), rest), settled: taken };
    }
  }
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
