import { type Clock, describeError, ExportError, type LimitedLog, type Timer, toError } from '@otel-resilience/core';
import type { Backlog } from './backlog.js';
import type { Taken } from './leased-batch.js';
import type { Tier, TierState } from './tier.js';
import type { TierSlots } from './tier-slots.js';

export interface ReplayerOptions {
  readonly tier: Tier;
  readonly slots: TierSlots;
  readonly backlog: Backlog;
  readonly clock: Clock;
  readonly log: LimitedLog;
  readonly probeIntervalMillis: number;
  readonly replaySpansPerSecond: number;
  readonly replayTimeoutMillis: number;
  /** Open at a time while the tier is up; default 4: of 1,000 spans each, at a latency of 400 ms, they make 10,000/s. */
  readonly maxReplays?: number | undefined;
}

const MAX_REPLAYS = 4;
/** Replay may run ahead of its rate by this much, so that many small batches do not need a timer each. */
const BURST_MILLIS = 10;
/** How long a probe may hang before it makes way for one that is due, or a replay before another may begin. */
const MIN_PATIENCE_MILLIS = 2_000;
/** A probe that was refused has asked nobody: a breaker may admit the next one sooner than an interval from now. */
const REFUSED_SHARE_OF_INTERVAL = 0.2;
/** A replay that fails so soon after the tier has taken another says nothing about the tier: it may be the batch. */
const PROOF_MILLIS = 1_000;
/** To wait after a spool that could not be read, in a hurry too. */
const LEASE_RETRY_MILLIS = 1_000;

interface Attempt {
  readonly begunIn: TierState;
  readonly startedAt: number;
  readonly controller: AbortController;
}

/**
 * Sends what waits in the spool. While the tier is up: at a limited rate, beside live traffic. While it is down: a
 * probe every interval, whether or not earlier ones have been answered, so that the first success comes within one
 * interval of the recovery. It holds a timer only while something waits.
 */
export class Replayer {
  private readonly options: ReplayerOptions;
  // In the order of their start.
  private readonly attempts = new Set<Attempt>();
  private readonly running = new Set<Promise<void>>();
  private timer: Timer | undefined;
  private wakeAt = Number.POSITIVE_INFINITY;
  private nextProbeAt = 0;
  private nextReplayAt = 0;
  /** After a spool that could not be read. */
  private nextLeaseAt = 0;
  private patienceMillis = MIN_PATIENCE_MILLIS;
  /** Grows with every success since the tier came up, so that one that has just recovered is not run over. */
  private allowedReplays = 1;
  private taking = false;
  private hurried = false;
  private halted: ExportError | undefined;
  private idleWait: { promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;
  private replayed = 0;
  private probed = 0;

  constructor(options: ReplayerOptions) {
    this.options = options;
  }

  get openReplays(): number {
    return this.attempts.size;
  }

  /** Spans the tier has acknowledged out of the spool. */
  get replayedSpans(): number {
    return this.replayed;
  }

  get probes(): number {
    return this.probed;
  }

  /** The tier has changed its state; whoever made it do so calls {@link pump} when it has settled its batch. */
  stateChanged(): void {
    const { tier, backlog, clock, probeIntervalMillis } = this.options;
    if (tier.state.kind === 'up') backlog.releaseProbes();
    this.nextProbeAt = clock.now() + probeIntervalMillis;
    this.patienceMillis = MIN_PATIENCE_MILLIS;
    this.allowedReplays = 1;
  }

  /** Shutting down: what is left matters more than the rate. */
  hurry(): void {
    this.hurried = true;
    this.pump();
  }

  /** Resolves when nothing waits any more; rejects when the replay ends before. */
  idle(): Promise<void> {
    if (this.options.backlog.size === 0) return Promise.resolve();
    if (this.halted) return Promise.reject(this.halted);
    this.idleWait ??= deferred();
    this.pump();
    return this.idleWait.promise;
  }

  /** Starts no more and ends what is open. Resolves when all of it is back in the spool, or settled. */
  async halt(reason: ExportError): Promise<void> {
    const { clock, backlog } = this.options;
    this.halted = reason;
    clock.clearTimeout(this.timer);
    for (const { controller } of this.attempts) controller.abort(reason);
    this.idleWait?.reject(reason);
    await Promise.all(this.running);
    backlog.releaseAll();
  }

  /** Does what is due, and sets the timer for what comes next. Called whenever something has changed. */
  pump(): void {
    if (this.halted) return;
    const { tier, backlog, clock } = this.options;
    let next = Number.POSITIVE_INFINITY;
    if (backlog.size === 0) {
      this.idleWait?.resolve();
      this.idleWait = undefined;
    } else if (!this.taking) {
      const now = clock.now();
      if (now < this.nextLeaseAt) next = this.nextLeaseAt;
      else next = tier.state.kind === 'up' ? this.replay(now) : this.probe(now);
    }
    this.wakeBy(next);
  }

  /** Returns when to look again, unless something happens before. */
  private replay(now: number): number {
    const { slots, backlog, maxReplays = MAX_REPLAYS } = this.options;
    const { suspectDueAt } = backlog;
    const wanted = backlog.available || suspectDueAt <= now;
    const needsStale = this.idleWait || (slots.full && (wanted || slots.hasWaiters));
    const staleUntil = needsStale ? this.retireStale(now) : Number.POSITIVE_INFINITY;
    if (!wanted) return Math.min(suspectDueAt, staleUntil);
    const paceUntil = this.nextReplayAt - BURST_MILLIS;
    if (now < paceUntil && !this.hurried) return Math.min(paceUntil, staleUntil);
    // Half of the slots are never replay's. One that hangs, or a suspect, holds up the others only at the very limit.
    const most = Math.max(1, Math.min(maxReplays + backlog.openSuspects, Math.floor(slots.total / 2)));
    const open = this.openAttempts((attempt) => !this.isStale(attempt));
    const quick = open.map(({ startedAt }) => startedAt + MIN_PATIENCE_MILLIS).filter((quickUntil) => now < quickUntil);
    if (open.length >= most) return staleUntil;
    if (quick.length >= this.allowedReplays + backlog.openSuspects) return Math.min(staleUntil, quick[0]!);
    if (slots.tryAcquire()) this.start((backlog) => backlog.takeForReplay());
    return staleUntil;
  }

  /**
   * Probes that hang since before the recovery make way when somebody needs their slot (a live export, a replay) or
   * their batch (a flush, a shutdown). Returns when the next one may have to.
   */
  private retireStale(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const stale of this.openAttempts((attempt) => this.isStale(attempt))) {
      const patientUntil = stale.startedAt + this.minPatienceMillis;
      if (now >= patientUntil) makeWay(stale);
      else next = Math.min(next, patientUntil);
    }
    return next;
  }

  private probe(now: number): number {
    const { slots, tier, backlog, probeIntervalMillis, replayTimeoutMillis } = this.options;
    const due = Math.max(this.nextProbeAt, tier.throttledUntil);
    if (now < due) return due;
    if (backlog.availableForProbe && slots.tryAcquire()) {
      this.nextProbeAt = now + probeIntervalMillis;
      this.probed++;
      this.start((backlog) => backlog.takeForProbe());
      return this.nextProbeAt;
    }
    // No batch or no slot left. The longest open probe is spared, so that an answer which takes long may come; the one
    // after it makes way. Where there is only one, it is given more time each time round.
    const [longest, next] = this.openAttempts(() => true);
    if (!longest) return now + probeIntervalMillis;
    const { minPatienceMillis } = this;
    const patientUntil = next
      ? next.startedAt + minPatienceMillis
      : longest.startedAt + Math.max(minPatienceMillis, this.patienceMillis);
    if (now < patientUntil) return patientUntil;
    if (!next) this.patienceMillis = nextPatience(this.patienceMillis, replayTimeoutMillis);
    makeWay(next ?? longest);
    return now + probeIntervalMillis;
  }

  /** One that is known to take long would be sent the same spans again, and at a shutdown there is no time for that. */
  private get minPatienceMillis(): number {
    return this.hurried ? MIN_PATIENCE_MILLIS : Math.max(MIN_PATIENCE_MILLIS, this.options.tier.learnedMillis);
  }

  private start(take: (backlog: Backlog) => Promise<Taken | undefined>): void {
    const run = this.takeAndSend(take);
    this.running.add(run);
    run.finally(() => this.running.delete(run));
  }

  /** Takes one batch at a time, then sends it beside what is open already. A slot has been acquired. */
  private async takeAndSend(take: (backlog: Backlog) => Promise<Taken | undefined>): Promise<void> {
    const { tier, clock, backlog, slots, log } = this.options;
    const attempt: Attempt = { begunIn: tier.state, startedAt: clock.now(), controller: new AbortController() };
    this.attempts.add(attempt);
    this.taking = true;
    let taken: Taken | undefined;
    try {
      taken = await take(backlog);
    } catch (thrown) {
      this.nextLeaseAt = clock.now() + LEASE_RETRY_MILLIS;
      log.warn('lease', () => `the spool could not be read: ${describeError(toError(thrown))}`);
    }
    this.taking = false;
    if (taken) {
      if (attempt.begunIn.kind === 'up') this.spend(taken.batch.spanCount);
      this.pump();
      await this.send(taken, attempt);
    }
    this.attempts.delete(attempt);
    slots.release();
    this.pump();
  }

  private async send(taken: Taken, { begunIn, controller }: Attempt): Promise<void> {
    const { tier, clock, backlog, replayTimeoutMillis, probeIntervalMillis } = this.options;
    const context = {
      signal: controller.signal,
      deadline: clock.now() + Math.max(replayTimeoutMillis, tier.learnedMillis),
      lastResort: begunIn.kind === 'down',
    };
    const proofMillis = taken.suspicion ? Number.POSITIVE_INFINITY : PROOF_MILLIS;
    const answer = await tier.export(taken.batch, context, backlog.maySuspect(taken) ? proofMillis : undefined);
    const { outcome } = answer;
    this.replayed += outcome.delivered;
    if (outcome.delivered > 0) this.allowedReplays++;
    if (outcome.failure === 'refused') {
      this.nextProbeAt = Math.min(this.nextProbeAt, clock.now() + probeIntervalMillis * REFUSED_SHARE_OF_INTERVAL);
    }
    backlog.settle(taken, answer, tier.latestTakenAt, tier.state.kind === 'down');
  }

  private spend(spans: number): void {
    const { clock, replaySpansPerSecond } = this.options;
    this.nextReplayAt = Math.max(this.nextReplayAt, clock.now()) + (spans / replaySpansPerSecond) * 1000;
  }

  /** Begun while the tier was down, and it is up now. */
  private isStale({ begunIn }: Attempt): boolean {
    return begunIn !== this.options.tier.state;
  }

  /** Those that match and have not been told to end, the longest open first. */
  private openAttempts(matches: (attempt: Attempt) => boolean): Attempt[] {
    return [...this.attempts].filter((attempt) => !attempt.controller.signal.aborted && matches(attempt));
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

/** 2, 4, 8 s … the whole timeout, then again from the beginning. */
function nextPatience(millis: number, most: number): number {
  return millis >= most ? MIN_PATIENCE_MILLIS : Math.min(millis * 2, most);
}

function makeWay({ controller }: Attempt): void {
  controller.abort(new ExportError('DEADLINE_EXCEEDED', 'gave way: it had been open for long'));
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
