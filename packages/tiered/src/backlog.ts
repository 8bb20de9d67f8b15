import {
  type Clock,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  giveUp,
  type LimitedLog,
  toError,
} from '@otel-resilience/core';
import type { HotAnswer } from './hot-tier.js';
import type { SpanSpool, SpoolLease } from './spool/spool.js';

/** What is held against a batch that failed while others were taken. */
interface Suspicion {
  readonly strikes: number;
  readonly failedAt: number;
  readonly retryAt: number;
}

/** A batch taken out of the backlog to be sent; {@link Backlog.settle} must follow. */
export interface Taken {
  readonly lease: SpoolLease;
  /** As they were when it was leased: sending may encode the batch. */
  readonly bytes: number;
  readonly suspicion?: Suspicion;
  /** The oldest was passed over for it. */
  readonly passedOver?: boolean;
}

/** Suspects put aside at a time; they stay leased, so they count against the spool's bytes. */
const MAX_ASIDE = 8;
const MIN_RETRY_MILLIS = 1_000;
const MAX_RETRY_MILLIS = 60_000;

/**
 * What waits in the spool, in the order in which it is to be sent: the oldest first.
 *
 * One exception, or a batch that breaks the connection of everyone who sends it would hold up all the others for ever:
 * a batch that fails as `retryable` while others are taken is a suspect. It is put aside and tried again after 1, 2, 4
 * … 60 s; when it has failed alone `poisonAttempts` times, it is dropped as `poison`.
 */
export class Backlog {
  private readonly spool: SpanSpool;
  private readonly clock: Clock;
  private readonly log: LimitedLog;
  private readonly poisonAttempts: number;
  private readonly aside: Array<Taken & { readonly suspicion: Suspicion }> = [];
  /** Nothing was left to lease; until something is appended or comes back. */
  private exhausted = false;
  /** Counts what is appended or comes back, since that may happen while we wait for a lease. */
  private arrivals = 0;
  private takenBytes = 0;
  private oldestIsSuspect = false;

  constructor(spool: SpanSpool, clock: Clock, log: LimitedLog, poisonAttempts: number) {
    this.spool = spool;
    this.clock = clock;
    this.log = log;
    this.poisonAttempts = poisonAttempts;
  }

  /** Spans waiting, those being sent included. */
  get size(): number {
    return this.spool.size;
  }

  /** Whether there may be a batch to take at once. */
  get available(): boolean {
    return !this.exhausted;
  }

  /**
   * Whether there may be a batch for another probe, which takes a suspect when there is nothing else. Probes that hang
   * take no more than half of the spool, and one batch: what is leased cannot be evicted for what comes.
   */
  get availableForProbe(): boolean {
    if (this.exhausted && this.aside.length === 0) return false;
    return this.takenBytes === 0 || this.takenBytes < this.spool.maxBytes / 2;
  }

  /** When the next suspect is due to be tried again. */
  get suspectDueAt(): number {
    return this.aside.reduce(
      (earliest, { suspicion }) => Math.min(earliest, suspicion.retryAt),
      Number.POSITIVE_INFINITY,
    );
  }

  /** Something was appended, or has come back. */
  arrived(): void {
    this.arrivals++;
    this.exhausted = false;
  }

  /** A batch for which the oldest was passed over has been taken: so what held us up may have been the oldest. */
  suspectOldest(): void {
    this.oldestIsSuspect = true;
  }

  async takeForReplay(): Promise<Taken | undefined> {
    const now = this.clock.now();
    const due = this.aside.findIndex(({ suspicion }) => suspicion.retryAt <= now);
    if (due >= 0) return this.aside.splice(due, 1)[0];
    const oldest = await this.lease();
    if (!oldest || !this.oldestIsSuspect) return oldest;
    this.oldestIsSuspect = false;
    return { ...oldest, suspicion: { strikes: 0, failedAt: Number.NEGATIVE_INFINITY, retryAt: now } };
  }

  /** The oldest, or with `passOver` the one after it. */
  async takeForProbe(passOver: boolean): Promise<Taken | undefined> {
    const oldest = await this.lease();
    if (!oldest) return this.aside.shift();
    const next = passOver ? await this.lease() : undefined;
    if (!next) return oldest;
    this.release(oldest);
    return { ...next, passedOver: true };
  }

  /** `latestTakenAt`: when the latest attempt was begun that the hot tier has answered. */
  settle(taken: Taken, { outcome, blamesBatch }: HotAnswer, latestTakenAt: number): void {
    const { lease, bytes, suspicion } = taken;
    const whole = outcome.remaining?.spanCount === lease.batch.spanCount;
    if (!blamesBatch || !whole || this.aside.length >= MAX_ASIDE) {
      this.settleAs(taken, outcome);
      return;
    }
    const now = this.clock.now();
    const { strikes: before, failedAt } = suspicion ?? { strikes: 0, failedAt: Number.NEGATIVE_INFINITY };
    // It has failed alone only if somebody else was taken since the last time.
    const strikes = before + (latestTakenAt > failedAt ? 1 : 0);
    if (strikes >= this.poisonAttempts) {
      const { spanCount } = lease.batch;
      this.log.warn('poison', () => `${spanCount} spans dropped: they alone failed ${strikes} times: ${outcome.error}`);
      this.settleAs(taken, giveUp(outcome, 'poison'));
      return;
    }
    const wait = Math.min(MIN_RETRY_MILLIS * 2 ** (strikes - 1), MAX_RETRY_MILLIS);
    this.aside.push({ lease, bytes, suspicion: { strikes, failedAt: now, retryAt: now + wait } });
  }

  /** Suspects go back to where they came from, since nobody will try them again. */
  releaseSuspects(): void {
    for (const suspect of this.aside.splice(0)) this.release(suspect);
  }

  private async lease(): Promise<Taken | undefined> {
    const { arrivals } = this;
    const lease = await this.spool.lease();
    if (!lease) {
      if (this.arrivals === arrivals) this.exhausted = true;
      return undefined;
    }
    const bytes = lease.batch.byteLength;
    this.takenBytes += bytes;
    return { lease, bytes };
  }

  private release(untried: Taken): void {
    this.settleAs(untried, failedOutcome(untried.lease.batch, 'refused', UNTRIED));
  }

  private settleAs({ lease, bytes }: Taken, outcome: ExportOutcome): void {
    this.takenBytes -= bytes;
    try {
      lease.settle(outcome);
    } catch (thrown) {
      this.log.warn('settle', () => `the spool failed to settle a batch: ${toError(thrown).message}`);
    }
    if (outcome.remaining) this.arrived();
  }
}

const UNTRIED = new ExportError('REFUSED', 'not tried');
