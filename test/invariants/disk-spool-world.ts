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
import { type CrashOptions, type DiskMoment, FaultyDisk, fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { Spool, type SpoolLease } from '@otel-resilience/tiered';
import type { OUTCOMES, SpoolCommand, SpoolSettings } from './disk-spool-commands.js';
import { SimulatedProcess } from './simulated-process.js';

/** What was promised of a span. */
interface SpanPromise {
  readonly owner: Owner;
  readonly acknowledgedAt: number;
  /** Settled for good: it may come again, and need not. */
  isSettled: boolean;
  /** Settled as poison: it comes again, or is in quarantine. */
  isPoison: boolean;
  survivesKill: boolean;
  survivesCrash: boolean;
}

/** A process with its spool, and what it must have counted. */
interface Owner {
  readonly process: SimulatedProcess;
  readonly spool: Spool;
  readonly openedAt: number;
  /** What was recovered may be more than there is room for, until something is appended. */
  bytesAtFirst: number;
  readonly leases: Array<{ lease: SpoolLease; names: string[] }>;
  readonly counts: { accepted: number; delivered: number; rejected: number; poison: number };
}

/** A disk as a crash has left it, to be looked at. */
interface Outcome {
  readonly disk: FaultyDisk;
  readonly promised: readonly string[];
  readonly poison: readonly string[];
  readonly how: string;
}

export interface WorldOptions {
  readonly settings: SpoolSettings;
  readonly seed: number;
  /** The share of moments (before and after each operation of the disk) at which it is looked what a crash would do. */
  readonly looks: number;
  /** Between the spools and the disk. */
  readonly through?: (disk: FileSystem) => FileSystem;
}

const DIRECTORY = '/var/spool/spans';
const INTERVAL_MILLIS = 500;
const MAX_AGE_MILLIS = 300_000;
const MAX_PROCESSES = 3;
/** Of the largest append that there is room for. */
const MAX_BATCH_BYTES = 7_000;
const GIVE_UP_MILLIS = 600_000;

/**
 * Spools over a disk that forgets, and a model of what they have promised. Before and after any operation of the disk
 * the power may fail, or every process die: a new spool then has to find what was promised up to there, whatever else
 * the disk has kept. What was given up since, because there was no room for it or it was too old, was counted.
 */
export class DiskSpoolWorld {
  private readonly options: WorldOptions;
  private readonly random: () => number;
  private disk: FaultyDisk;
  private clock = new VirtualClock();
  private owners: Owner[] = [];
  private readonly spans = new Map<string, SpanPromise>();
  private readonly everAppended = new Map<string, number>();
  private readonly outcomes: Outcome[] = [];
  /** By owners that are gone. */
  private givenUpBefore = 0;
  /** The files of the dead are open for ever. */
  private anyDied = false;
  private wasShared = false;
  private isTroubled = false;
  /** When a ledger did not add up for the first time. */
  private unbalanced: string | undefined;

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
    for (const path of ['/', '/var']) await this.disk.syncDirectory(path);
    this.start();
    for (const command of commands) {
      await this.make(command);
      this.note();
      for (const owner of this.owners) this.checkLedger(owner);
      if (this.unbalanced) throw new Error(`the ledger does not add up ${this.unbalanced}`);
      this.look('some');
      await this.checkOutcomes();
    }
    await this.restart('shutdown');
    this.look('none');
    await this.checkOutcomes();
    for (const owner of [...this.owners]) this.die(owner);
  }

  private async make(command: SpoolCommand): Promise<void> {
    switch (command.kind) {
      case 'append': {
        const owner = this.owner(command.by);
        await this.within(Promise.all(command.batches.map((each) => this.append(owner, each))));
        return;
      }
      case 'lease':
        for (let i = 0; i < command.count; i++) await this.lease(this.owner(command.by));
        return;
      case 'settle':
        return this.settle(this.owner(command.by), command.which, command.how);
      case 'wait':
        return this.clock.advance(command.millis);
      case 'start':
        if (this.owners.length < MAX_PROCESSES) this.start();
        return;
      case 'die':
        if (this.owners.length > 1) this.die(this.owner(command.by));
        return;
      case 'stop':
        if (this.owners.length > 1) await this.shutDown(this.owner(command.by));
        return;
      case 'fail':
        this.isTroubled = true;
        return this.disk.fail(command.fault);
      case 'fill':
        this.isTroubled = true;
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

  private async append(owner: Owner, { spans, bytes }: { spans: number; bytes: number }): Promise<void> {
    const names = Array.from({ length: spans }, (_, i) => `span ${this.everAppended.size + i};`);
    for (const name of names) this.everAppended.set(name, bytes);
    const batch = SpanBatch.fromSpans(names.map((name) => spanOf(name, bytes)));
    const { stored, dropped } = await owner.spool.append(batch);
    if (stored + dropped !== spans || (stored > 0 && dropped > 0)) throw new Error(`append: ${stored} + ${dropped}`);
    if (stored === 0) return;
    owner.counts.accepted += stored;
    const acknowledgedAt = this.clock.now();
    for (const name of names) {
      this.spans.set(name, {
        owner,
        acknowledgedAt,
        isSettled: false,
        isPoison: false,
        survivesKill: false,
        survivesCrash: false,
      });
    }
  }

  private async lease(owner: Owner): Promise<void> {
    // A disk that fails to read says so.
    const lease = await this.within(owner.spool.lease().catch(() => undefined));
    if (lease) owner.leases.push({ lease, names: this.namesIn(lease.batch) });
  }

  private settle({ leases, counts }: Owner, which: number, how: (typeof OUTCOMES)[number]): void {
    const [taken] = leases.splice(which % Math.max(1, leases.length), 1);
    if (!taken) return;
    const { lease, names } = taken;
    const { outcome, settled } = outcomeOf(lease.batch, how);
    for (const name of names.slice(0, settled)) {
      const promise = this.spans.get(name);
      if (promise) Object.assign(promise, { isSettled: true, isPoison: how === 'poison' });
    }
    if (how !== 'nonsense') {
      counts.delivered += outcome.delivered;
      counts.poison += outcome.dropped.poison ?? 0;
      if (outcome.failure === 'permanent') counts.rejected += outcome.remaining?.spanCount ?? 0;
    }
    lease.settle(outcome);
  }

  /** What is promised by now. */
  private note(): void {
    const { fsync } = this.options.settings;
    const now = this.clock.now();
    for (const promise of this.spans.values()) {
      const { owner, acknowledgedAt } = promise;
      if (!owner.process.isAlive || !owner.spool.durable) continue;
      promise.survivesKill = true;
      if (fsync === 'always') promise.survivesCrash = true;
      const since = Math.max(acknowledgedAt, owner.openedAt);
      if (fsync === 'interval' && now - since > INTERVAL_MILLIS) promise.survivesCrash = true;
    }
  }

  private onMoment({ disk, when, operation }: DiskMoment): void {
    if (disk !== this.disk || this.owners.length === 0) return;
    this.note();
    for (const { spool } of this.owners) if (!spool.stats().balanced) this.unbalanced ??= `${when} ${operation.kind}`;
    if (this.random() > this.options.looks) return;
    this.look(this.random() < 0.8 ? 'some' : 'none', `${when} ${operation.kind} ${operation.path}`);
  }

  /** The machine, or all that runs on it, might fail now. */
  private look(keep: CrashOptions['keep'], moment = 'between commands'): void {
    const isKill = this.random() < 0.2;
    const promised = [...this.spans].filter(([, { survivesKill, survivesCrash }]) => {
      return isKill ? survivesKill : survivesCrash;
    });
    this.outcomes.push({
      disk: isKill ? this.disk.kill() : this.disk.crash({ keep }),
      promised: promised.filter(([, { isSettled }]) => !isSettled).map(([name]) => name),
      // On a disk that fails there may be no quarantine either.
      poison: this.isTroubled ? [] : promised.filter(([, { isPoison }]) => isPoison).map(([name]) => name),
      how: `${isKill ? 'a kill' : `a crash that keeps ${keep}`} ${moment}`,
    });
  }

  private async checkOutcomes(): Promise<void> {
    const givenUp = this.owners.reduce((sum, { spool }) => sum + givenUpBy(spool), this.givenUpBefore);
    for (const { disk, promised, poison, how } of this.outcomes.splice(0)) {
      const { seen, expired } = await this.drain(disk);
      const quarantine = poison.length > 0 ? quarantineOf(disk) : '';
      const lost = [...promised, ...poison].filter((name) => !seen.has(name) && !quarantine.includes(name));
      if (lost.length <= givenUp + expired) continue;
      throw new Error(`${how} loses ${lost.join(', ')}; ${givenUp} were given up: ${JSON.stringify(disk.lost)}`);
    }
  }

  /** All that a new process finds, on a machine of its own. */
  private async drain(disk: FaultyDisk): Promise<{ seen: Set<string>; expired: number }> {
    const clock = this.clockAfter(1_000);
    disk.capacityBytes = undefined;
    const owner = this.makeOwner(disk, clock);
    const { spool, process } = owner;
    const seen = new Set<string>();
    await this.within(spool.open(), clock);
    for (;;) {
      const lease = await this.within(spool.lease(), clock);
      if (!lease) break;
      for (const name of this.namesIn(lease.batch)) seen.add(name);
      lease.settle(deliveredOutcome(lease.batch.spanCount));
    }
    await this.within(spool.shutdown(), clock);
    process.die();
    const stats = spool.stats();
    const { accepted, recovered, waiting, delivered, rejected, dropped, balanced } = stats;
    const isSound = balanced && accepted + waiting + rejected === 0 && recovered === delivered + totalDropped(dropped);
    if (!isSound) throw new Error(`after a crash: ${JSON.stringify(stats)}`);
    if (disk.openFiles > 0) throw new Error(`after a crash and shutdown ${disk.openFiles} files are open`);
    checkStopped(owner);
    return { seen, expired: givenUpBy(spool) };
  }

  private async restart(how: 'shutdown' | 'kill' | 'crash', keep?: CrashOptions['keep']): Promise<void> {
    for (const owner of [...this.owners]) {
      if (how === 'shutdown') await this.shutDown(owner);
      else this.die(owner);
    }
    if (how === 'shutdown' && !this.anyDied && this.disk.openFiles > 0) {
      throw new Error(`after shutdown ${this.disk.openFiles} files are open`);
    }
    this.disk = how === 'crash' ? this.disk.crash({ keep }) : this.disk.kill();
    this.anyDied = false;
    this.clock = this.clockAfter(1_000);
    const owner = this.start();
    for (const [name, promise] of [...this.spans]) {
      if (how === 'crash' ? promise.survivesCrash : promise.survivesKill) this.spans.set(name, { ...promise, owner });
      else this.spans.delete(name);
    }
    await this.within(owner.spool.open());
    owner.bytesAtFirst = owner.spool.bytes;
  }

  private start(): Owner {
    const owner = this.makeOwner(this.disk, this.clock);
    this.owners.push(owner);
    this.wasShared ||= this.owners.length > 1;
    return owner;
  }

  private async shutDown(owner: Owner): Promise<void> {
    const { spool } = owner;
    // What was leased from memory would be lost with it: the exporter gives it back first.
    while (!spool.durable && owner.leases.length > 0) this.settle(owner, 0, 'retryable');
    const before = this.disk.operations.length;
    await this.within(spool.shutdown());
    const isSaved = spool.durable && !spool.stats().dropped.shutdown;
    if (isSaved) this.note();
    this.checkLedger(owner);
    checkStopped(owner);
    const isCalm = this.disk.operations.slice(before).every(({ error }) => error === undefined || error === 'ENOENT');
    if (isCalm && isSaved && this.options.settings.fsync !== 'never') {
      for (const promise of this.spans.values()) {
        if (promise.owner === owner) promise.survivesCrash ||= promise.survivesKill;
      }
    }
    this.remove(owner);
  }

  private die(owner: Owner): void {
    this.anyDied = true;
    this.remove(owner);
  }

  private remove(owner: Owner): void {
    owner.process.die();
    this.givenUpBefore += givenUpBy(owner.spool);
    this.owners = this.owners.filter((each) => each !== owner);
  }

  private makeOwner(disk: FaultyDisk, clock: VirtualClock): Owner {
    const { fsync, order, maxSegmentBytes, maxBytes, dropPolicy } = this.options.settings;
    const process = new SimulatedProcess(this.options.through?.(disk) ?? disk, clock, disk);
    const spool = new Spool({
      directory: DIRECTORY,
      fileSystem: process.fileSystem,
      clock: process.clock,
      fsync,
      fsyncIntervalMillis: INTERVAL_MILLIS,
      order,
      maxSegmentBytes,
      maxBytes,
      maxAgeMillis: MAX_AGE_MILLIS,
      dropPolicy,
    });
    const counts = { accepted: 0, delivered: 0, rejected: 0, poison: 0 };
    return { process, spool, openedAt: clock.now(), bytesAtFirst: 0, leases: [], counts };
  }

  private owner(by: number): Owner {
    return this.owners[by % this.owners.length]!;
  }

  private within<T>(promise: Promise<T>, clock = this.clock): Promise<T> {
    return clock.run(promise, GIVE_UP_MILLIS);
  }

  private clockAfter(millis: number): VirtualClock {
    return new VirtualClock({ now: this.clock.now() + millis, wallTime: this.clock.wallTime() + millis });
  }

  private checkLedger({ spool, counts, bytesAtFirst }: Owner): void {
    const stats = spool.stats();
    const { accepted, delivered, rejected, dropped, waiting, balanced } = stats;
    // What falls back to memory counts there, while something else is just being written.
    const besides = this.isTroubled ? MAX_BATCH_BYTES : 0;
    const isSound =
      balanced &&
      waiting === spool.size &&
      accepted === counts.accepted &&
      delivered === counts.delivered &&
      rejected === counts.rejected &&
      (dropped.poison ?? 0) === counts.poison &&
      // What was adopted may be more than there is room for, until something is appended.
      (this.wasShared || spool.bytes <= Math.max(spool.maxBytes, bytesAtFirst) + besides);
    if (!isSound) throw new Error(`${JSON.stringify(stats)} of ${spool.bytes} bytes, not ${JSON.stringify(counts)}`);
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

/** All that was ever poison, as bytes. */
function quarantineOf(disk: FaultyDisk): string {
  const files = [...disk.contents()].filter(([path]) => path.includes('/quarantine/'));
  return files.map(([, bytes]) => Buffer.from(bytes).toString('latin1')).join('');
}

function checkStopped({ spool, process }: Owner): void {
  if (process.pendingTimers > 0) throw new Error(`after shutdown ${process.pendingTimers} timers are pending`);
  if (spool.status().mode !== 'closed') throw new Error(`after shutdown: ${spool.status().mode}`);
}

function givenUpBy(spool: Spool): number {
  const { full = 0, expired = 0, shutdown = 0 } = spool.stats().dropped;
  return full + expired + shutdown;
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
