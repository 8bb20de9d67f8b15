import {
  type Clock,
  deliveredOutcome,
  describeError,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  giveUp,
  type LimitedLog,
  sleep,
  toError,
} from '@otel-resilience/core';
import type { Diversion } from './diversion.js';
import { LeasedBatch, type Taken } from './leased-batch.js';
import type { SpanSpool } from './spool/spool.js';
import type { TierAnswer } from './tier.js';

export interface BacklogOptions {
  /** Called when what waits has become more or less. */
  readonly onMoved?: (() => void) | undefined;
  /** Asked of each batch that is leased. Default: all of it is sent. */
  readonly divert?: Diversion | undefined;
}

type Suspect = Taken & Required<Pick<Taken, 'suspicion'>>;

/** Batches put aside at a time, and the share of the spool that they may take, since they stay leased. */
const MAX_SUSPECTS = 256;
/** So many different batches are tried in the first round of probes, and in each later one so many more. */
const FIRST_ROUND = 16;
const LATER_ROUNDS = 2;
const SUSPECTS_SHARE_OF_BYTES = 0.25;
const PROBES_SHARE_OF_BYTES = 0.5;
/** What is leased of a spool on disk is in memory besides: as if the spool were no larger than this. */
const MAX_BYTES_TO_SHARE = 32 * 1024 * 1024;
/** Every second probe passes over so many of the oldest: those that always fail may stand in a row. */
const REACH = 8;
/** Failed alone this often, a batch is cut in two; a part of it at its first failure. */
const STRIKES_TO_CUT = 2;
/** One bad span of a thousand takes 10 cuts to isolate, six take 60. What is left then gets one verdict for all. */
const MAX_CUTS = 64;
const MIN_RETRY_MILLIS = 1_000;
const MAX_RETRY_MILLIS = 60_000;

/**
 * What waits in the spool, in the order in which it is to be sent: the oldest first.
 *
 * Two exceptions, or a batch that breaks the connection of everyone who sends it would hold up all the others for ever:
 *
 * - A probe that failed is put aside, and others are tried before it is tried again.
 * - A batch that fails as `retryable` while others are taken is a suspect. It is put aside, tried again, and cut in two
 *   until the span is isolated that fails alone. That one is tried again after 1, 2, 4 … 60 s; when it has failed
 *   `poisonAttempts` times, it is dropped as `poison`.
 */
export class Backlog {
  private readonly spool: SpanSpool;
  private readonly clock: Clock;
  private readonly log: LimitedLog;
  private readonly poisonAttempts: number;
  private readonly options: BacklogOptions;
  /** Failed as probes, while nothing else was taken either. */
  private readonly failedProbes: Taken[] = [];
  private readonly suspects: Suspect[] = [];
  /** Of which the suspects are parts. */
  private readonly suspectedLeases = new Set<LeasedBatch>();
  private suspectedBytes = 0;
  /** Leased, without the suspects. */
  private takenBytes = 0;
  private triesSuspect = false;
  /** Refused as probes: nobody was asked, so they are next. */
  private readonly unasked: Taken[] = [];
  private untriedLeft = FIRST_ROUND;
  private retriesLeft = FIRST_ROUND;
  private reachesOut = false;
  /** Nothing was left to lease; until something is appended or comes back. */
  private exhausted = false;
  private diverted = 0;
  /** Counts what is appended or comes back, since that may happen while we wait for a lease. */
  private arrivals = 0;

  constructor(spool: SpanSpool, clock: Clock, log: LimitedLog, poisonAttempts: number, options: BacklogOptions = {}) {
    this.spool = spool;
    this.clock = clock;
    this.log = log;
    this.poisonAttempts = poisonAttempts;
    this.options = options;
  }

  /** Spans waiting, those being sent included. */
  get size(): number {
    return this.spool.size;
  }

  /** Spans that have left the spool by a diversion. */
  get divertedSpans(): number {
    return this.diverted;
  }

  /** Whether there may be a batch to take at once. */
  get available(): boolean {
    return !this.exhausted;
  }

  /** Whether there may be a batch for another probe. */
  get availableForProbe(): boolean {
    const held = this.unasked.length + this.failedProbes.length + this.suspects.length;
    return held > 0 || (!this.exhausted && this.mayProbeMore);
  }

  /** Suspects being tried: one at a time. */
  get openSuspects(): number {
    return this.triesSuspect ? 1 : 0;
  }

  /** When the next suspect is due to be tried again. */
  get suspectDueAt(): number {
    if (this.triesSuspect) return Number.POSITIVE_INFINITY;
    return this.suspects.reduce(
      (earliest, { suspicion }) => Math.min(earliest, suspicion.retryAt),
      Number.POSITIVE_INFINITY,
    );
  }

  /** Whether this batch may become a suspect. */
  maySuspect({ leased }: Taken): boolean {
    const { size } = this.suspectedLeases;
    if (size === 0 || this.suspectedLeases.has(leased)) return true;
    return size < MAX_SUSPECTS && this.suspectedBytes + leased.bytes <= this.bytesToShare * SUSPECTS_SHARE_OF_BYTES;
  }

  /** Something was appended, or has come back. */
  arrived(): void {
    this.arrivals++;
    this.exhausted = false;
    this.options.onMoved?.();
  }

  async takeForReplay(): Promise<Taken | undefined> {
    if (this.suspectDueAt > this.clock.now()) return this.lease();
    const due = this.suspects.findIndex(({ suspicion }) => suspicion.retryAt <= this.clock.now());
    this.triesSuspect = true;
    return this.suspects.splice(due, 1)[0];
  }

  /** One that no probe has tried yet; or, a round later, one that has failed. */
  async takeForProbe(): Promise<Taken | undefined> {
    const unasked = this.unasked.shift();
    if (unasked) return unasked;
    if (this.mayProbeMore && (this.untriedLeft > 0 || this.failedProbes.length === 0)) {
      const reach = this.reachesOut ? REACH : 0;
      this.untriedLeft--;
      this.reachesOut = !this.reachesOut;
      const untried = await this.leaseBeyond(reach);
      if (untried) return untried;
    }
    if (--this.retriesLeft <= 0) {
      this.retriesLeft = this.failedProbes.length + LATER_ROUNDS;
      this.untriedLeft = LATER_ROUNDS;
    }
    return this.failedProbes.shift() ?? this.suspects.shift();
  }

  /** `latestTakenAt`: when the latest attempt was begun that the tier has answered; `down`: whether it is. */
  settle(taken: Taken, { outcome, blamesBatch }: TierAnswer, latestTakenAt: number, down: boolean): void {
    const { batch, suspicion } = taken;
    if (suspicion) this.triesSuspect = false;
    const { remaining, failure } = outcome;
    const failedWhole = remaining?.spanCount === batch.spanCount && failure !== 'permanent';
    if (failedWhole && blamesBatch && this.maySuspect(taken)) {
      this.suspect(taken, outcome, latestTakenAt);
    } else if (failedWhole && suspicion) {
      this.suspects.push({ ...taken, suspicion });
    } else if (failedWhole && down) {
      (failure === 'refused' ? this.unasked : this.failedProbes).push(taken);
    } else {
      this.settleAs(taken, outcome);
    }
  }

  /** The tier is up: what was to be probed with is sent with the others, in its turn. */
  releaseProbes(): void {
    for (const probe of [...this.unasked.splice(0), ...this.failedProbes.splice(0)]) this.release(probe);
    this.untriedLeft = FIRST_ROUND;
    this.retriesLeft = FIRST_ROUND;
    this.reachesOut = false;
  }

  /** Everything goes back to where it came from, since nobody will try it again. */
  releaseAll(): void {
    this.releaseProbes();
    for (const suspect of this.suspects.splice(0)) this.release(suspect);
  }

  /** Probes that hang or failed take no more than a share of the spool: what is leased cannot be evicted. */
  private get mayProbeMore(): boolean {
    return this.takenBytes === 0 || this.takenBytes < this.bytesToShare * PROBES_SHARE_OF_BYTES;
  }

  private get bytesToShare(): number {
    const { durable, maxBytes } = this.spool;
    return durable ? Math.min(maxBytes, MAX_BYTES_TO_SHARE) : maxBytes;
  }

  private suspect(taken: Taken, outcome: ExportOutcome, latestTakenAt: number): void {
    const { batch, leased, suspicion } = taken;
    const now = this.clock.now();
    const { strikes: before, failedAt } = suspicion ?? { strikes: 0, failedAt: Number.NEGATIVE_INFINITY };
    // It has failed alone only if somebody else was taken since the last time.
    const strikes = before + (latestTakenAt > failedAt ? 1 : 0);
    const mayCut = batch.spanCount > 1 && leased.cuts < MAX_CUTS;
    if (!mayCut && strikes >= this.poisonAttempts) {
      const { spanCount } = batch;
      this.log.warn(
        'poison',
        () => `${spanCount} spans dropped: they alone failed ${strikes} times: ${describeError(outcome.error!)}`,
      );
      this.settleAs(taken, giveUp(outcome, 'poison'));
      return;
    }
    if (!this.suspectedLeases.has(leased)) {
      this.suspectedLeases.add(leased);
      this.suspectedBytes += leased.bytes;
      this.takenBytes -= leased.bytes;
    }
    if (mayCut && strikes >= STRIKES_TO_CUT) {
      const halved = { strikes: STRIKES_TO_CUT - 1, failedAt: now, retryAt: now + MIN_RETRY_MILLIS };
      for (const part of leased.cut(batch)) this.suspects.push({ batch: part, leased, suspicion: halved });
    } else {
      const wait = mayCut ? MIN_RETRY_MILLIS : Math.min(MIN_RETRY_MILLIS * 2 ** (strikes - 1), MAX_RETRY_MILLIS);
      this.suspects.push({ batch, leased, suspicion: { strikes, failedAt: now, retryAt: now + wait } });
    }
  }

  /** The oldest but `count`, or the last of them when there are not so many. */
  private async leaseBeyond(count: number): Promise<Taken | undefined> {
    let last = await this.lease();
    const passedOver: Taken[] = [];
    while (last && passedOver.length < count) {
      const next = await this.lease().catch(() => undefined);
      if (!next) break;
      passedOver.push(last);
      last = next;
    }
    for (const taken of passedOver.reverse()) this.release(taken);
    return last;
  }

  private async lease(): Promise<Taken | undefined> {
    for (;;) {
      const { arrivals } = this;
      const lease = await this.spool.lease();
      if (!lease) {
        if (this.arrivals === arrivals) this.exhausted = true;
        return undefined;
      }
      const leased = new LeasedBatch(lease);
      this.takenBytes += leased.bytes;
      const whole = { batch: leased.batch, leased };
      const diverted = await this.options.divert?.(leased.batch);
      if (!diverted) return whole;
      leased.settleAhead(diverted.outcome);
      if (diverted.rest) return { batch: diverted.rest, leased };
      this.settleAs(whole, deliveredOutcome(0));
      // All that waits may be diverted, and each batch takes some milliseconds: the loop has its turn in between.
      await sleep(this.clock, 0);
    }
  }

  private release(untried: Taken): void {
    this.settleAs(untried, failedOutcome(untried.batch, 'refused', UNTRIED));
  }

  private settleAs({ leased }: Taken, outcome: ExportOutcome): void {
    if (outcome.failure === 'permanent') {
      const { remaining, error } = outcome;
      this.log.warn(
        'rejected',
        () => `${remaining.spanCount} spans of the spool were rejected: ${describeError(error)}`,
      );
    }
    if (!leased.settlePart(outcome)) return;
    if (this.suspectedLeases.delete(leased)) this.suspectedBytes -= leased.bytes;
    else this.takenBytes -= leased.bytes;
    this.diverted += leased.divertedSpans;
    try {
      leased.settle();
    } catch (thrown) {
      this.log.warn('settle', () => `the spool failed to settle a batch: ${describeError(toError(thrown))}`);
    }
    // Some of it may have come back.
    this.arrived();
  }
}

const UNTRIED = new ExportError('REFUSED', 'not tried');
