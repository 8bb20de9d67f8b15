import { type Clock, ExportError, type LimitedLog, type Timer, toError } from '@otel-resilience/core';
import type { HotSlots } from './hot-slots.js';
import type { HotState, HotTier } from './hot-tier.js';
import type { SpanSpool, SpoolLease } from './spool/spool.js';

export interface ReplayerOptions {
  readonly hot: HotTier;
  readonly slots: HotSlots;
  /** Slots of the hot tier in all. */
  readonly totalSlots: number;
  readonly spool: SpanSpool;
  readonly clock: Clock;
  readonly log: LimitedLog;
  readonly probeIntervalMillis: number;
  readonly replaySpansPerSecond: number;
  readonly replayTimeoutMillis: number;
}

/** Replays open at a time while the hot tier is up: 4 of 1,000 spans reach 10,000/s at a latency of 400 ms. */
const MAX_REPLAYS = 4;
/** Replay may run ahead of its rate by this much, so that many small batches do not need a timer each. */
const BURST_MILLIS = 10;
/** How long a probe may hang before one that is due takes its place; doubles up to the replay timeout, then again. */
const MIN_PATIENCE_MILLIS = 2_000;
/** After a spool that failed to lease. */
const LEASE_RETRY_MILLIS = 1_000;

interface Attempt {
  readonly begunIn: HotState;
  readonly startedAt: number;
  readonly controller: AbortController;
}

/**
 * Sends what waits in the spool, oldest first. While the hot tier is up: at a limited rate, beside live traffic. While
 * it is down: a probe every interval, whether or not earlier ones have been answered, so that the first success
 * comes within one interval of the recovery. It holds a timer only while something waits.
 */
export class Replayer {
  private readonly options: ReplayerOptions;
  private readonly attempts = new Set<Attempt>();
  private readonly running = new Set<Promise<void>>();
  private timer: Timer | undefined;
  private wakeAt = Number.POSITIVE_INFINITY;
  private nextProbeAt = 0;
  private nextReplayAt = 0;
  private patienceMillis = MIN_PATIENCE_MILLIS;
  /** The spool had nothing left to lease; until something is appended or comes back. */
  private exhausted = false;
  private leasing = false;
  private hurried = false;
  private halted: ExportError | undefined;
  private idleWait: { promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;
  private replayed = 0;
  private probed = 0;

  constructor(options: ReplayerOptions) {
    this.options = options;
  }

  get openAttempts(): number {
    return this.attempts.size;
  }

  /** Spans the hot tier has acknowledged out of the spool. */
  get replayedSpans(): number {
    return this.replayed;
  }

  get probes(): number {
    return this.probed;
  }

  /** Something was appended. */
  appended(): void {
    this.exhausted = false;
    this.pump();
  }

  /** The hot tier has changed its state. */
  stateChanged(): void {
    this.nextProbeAt = this.options.clock.now() + this.options.probeIntervalMillis;
    this.patienceMillis = MIN_PATIENCE_MILLIS;
    this.pump();
  }

  /** A live export waits for a slot: a probe that has hung since before the recovery gives its own up. */
  yieldSlot(): void {
    const { state } = this.options.hot;
    const stale = this.longestOpen((attempt) => attempt.begunIn !== state);
    if (stale) giveUp(stale);
  }

  /** Shutting down: what is left matters more than the rate. */
  hurry(): void {
    this.hurried = true;
    this.pump();
  }

  /** Resolves when nothing waits any more; rejects when the replay ends before. */
  idle(): Promise<void> {
    if (this.options.spool.size === 0) return Promise.resolve();
    if (this.halted) return Promise.reject(this.halted);
    this.idleWait ??= deferred();
    return this.idleWait.promise;
  }

  /** Resolves when every attempt has ended and its batch is settled. */
  async stopped(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }

  /** Starts no more, ends what is open; its batches go back to the spool. */
  halt(reason: ExportError): void {
    this.halted = reason;
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
    for (const attempt of this.attempts) attempt.controller.abort(reason);
    this.idleWait?.reject(reason);
    this.idleWait = undefined;
  }

  /** Does what is due, and sets the timer for what comes next. Called whenever something has changed. */
  pump(): void {
    const { hot, spool, clock } = this.options;
    if (this.halted) return;
    if (spool.size === 0) {
      this.idleWait?.resolve();
      this.idleWait = undefined;
    }
    const now = clock.now();
    const next =
      this.leasing || spool.size === 0 ? undefined : hot.state.kind === 'up' ? this.replay(now) : this.probe(now);
    this.wakeBy(next ?? Number.POSITIVE_INFINITY);
  }

  private replay(now: number): number | undefined {
    if (this.exhausted) return undefined;
    if (!this.hurried && this.nextReplayAt - now > BURST_MILLIS) return this.nextReplayAt - BURST_MILLIS;
    const { slots, totalSlots } = this.options;
    // Half of the slots are never replay's.
    const limit = Math.max(1, Math.min(MAX_REPLAYS, Math.floor(totalSlots / 2)));
    if (this.attempts.size < limit && slots.tryAcquire()) this.start();
    return undefined;
  }

  private probe(now: number): number | undefined {
    const { slots, hot, probeIntervalMillis, replayTimeoutMillis } = this.options;
    const due = Math.max(this.nextProbeAt, hot.throttledUntil);
    if (now < due) return due;
    const limit = Math.ceil(replayTimeoutMillis / probeIntervalMillis);
    if (!this.exhausted && this.attempts.size < limit && slots.tryAcquire()) {
      this.nextProbeAt = now + probeIntervalMillis;
      this.start();
      return this.nextProbeAt;
    }
    // No batch or no slot left: the longest open probe makes way, but not so soon that a slow answer never comes.
    const oldest = this.longestOpen(() => true);
    if (!oldest) {
      this.exhausted = false;
      return now + probeIntervalMillis;
    }
    const patientUntil = oldest.startedAt + this.patienceMillis;
    if (now < patientUntil) return patientUntil;
    this.patienceMillis = this.patienceMillis >= replayTimeoutMillis ? MIN_PATIENCE_MILLIS : this.patienceMillis * 2;
    giveUp(oldest);
    return now + probeIntervalMillis;
  }

  private longestOpen(matches: (attempt: Attempt) => boolean): Attempt | undefined {
    for (const attempt of this.attempts) {
      if (!attempt.controller.signal.aborted && matches(attempt)) return attempt;
    }
    return undefined;
  }

  private start(): void {
    const run = this.leaseAndSend();
    this.running.add(run);
    run.finally(() => this.running.delete(run));
  }

  /** Leases one batch at a time, then sends beside what is open already. A slot has been taken. */
  private async leaseAndSend(): Promise<void> {
    const { hot, clock, spool, slots, log } = this.options;
    const attempt: Attempt = { begunIn: hot.state, startedAt: clock.now(), controller: new AbortController() };
    this.attempts.add(attempt);
    this.leasing = true;
    let lease: SpoolLease | undefined;
    try {
      lease = await spool.lease();
      this.exhausted = lease === undefined;
    } catch (thrown) {
      this.nextReplayAt = this.nextProbeAt = clock.now() + LEASE_RETRY_MILLIS;
      log.warn('lease', () => `the spool could not be read: ${toError(thrown).message}`);
    }
    this.leasing = false;
    if (lease) {
      this.spend(lease.batch.spanCount);
      this.pump();
      await this.send(lease, attempt);
    }
    this.attempts.delete(attempt);
    slots.release();
    this.pump();
  }

  private async send(lease: SpoolLease, attempt: Attempt): Promise<void> {
    const { hot, clock, replayTimeoutMillis } = this.options;
    const lastResort = attempt.begunIn.kind === 'down';
    if (lastResort) this.probed++;
    const outcome = await hot.export(lease.batch, {
      signal: attempt.controller.signal,
      deadline: clock.now() + replayTimeoutMillis,
      lastResort,
    });
    this.replayed += outcome.delivered;
    lease.settle(outcome);
    if (outcome.remaining) this.exhausted = false;
  }

  private spend(spans: number): void {
    const { clock, replaySpansPerSecond } = this.options;
    this.nextReplayAt = Math.max(this.nextReplayAt, clock.now()) + (spans / replaySpansPerSecond) * 1000;
  }

  private wakeBy(at: number): void {
    const { clock } = this.options;
    if (at === this.wakeAt && this.timer) return;
    clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.wakeAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.timer = clock.setTimeout(() => {
      this.timer = undefined;
      this.pump();
    }, at - clock.now());
  }
}

function giveUp(attempt: Attempt): void {
  attempt.controller.abort(new ExportError('DEADLINE_EXCEEDED', 'a replay made way for another'));
}

function deferred() {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Whoever waited may have given up.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
