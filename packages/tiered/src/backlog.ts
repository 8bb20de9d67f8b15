import {
  type Clock,
  ExportError,
  failedOutcome,
  giveUp,
  type LimitedLog,
  type SpanBatch,
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

  /** Whether {@link take} may find a batch for a probe, which takes a suspect when there is nothing else. */
  get availableForProbe(): boolean {
    return !this.exhausted || this.aside.length > 0;
  }

  /** When the next suspect is due to be tried again. */
  get suspectDueAt(): number {
    return this.aside.reduce(
      (earliest, { suspicion }) => Math.min(earliest, suspicion.retryAt),
      Number.POSITIVE_INFINITY,
    );
  }

  appended(): void {
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
    const lease = await this.lease();
    if (!lease) return undefined;
    if (!this.oldestIsSuspect) return { lease };
    this.oldestIsSuspect = false;
    return { lease, suspicion: { strikes: 0, failedAt: Number.NEGATIVE_INFINITY, retryAt: now } };
  }

  /** The oldest, or with `passOver` the one after it. */
  async takeForProbe(passOver: boolean): Promise<Taken | undefined> {
    const oldest = await this.lease();
    if (!oldest) return this.aside.shift();
    const next = passOver ? await this.lease() : undefined;
    if (!next) return { lease: oldest };
    this.settleAs(oldest, untouched(oldest.batch));
    return { lease: next, passedOver: true };
  }

  /** `latestTakenAt`: when the latest attempt was begun that the hot tier has answered. */
  settle({ lease, suspicion }: Taken, { outcome, blamesBatch }: HotAnswer, latestTakenAt: number): void {
    const whole = outcome.remaining?.spanCount === lease.batch.spanCount;
    if (!blamesBatch || !whole || this.aside.length >= MAX_ASIDE) {
      this.settleAs(lease, outcome);
      return;
    }
    const now = this.clock.now();
    const { strikes: before, failedAt } = suspicion ?? { strikes: 0, failedAt: Number.NEGATIVE_INFINITY };
    // It has failed alone only if somebody else was taken since the last time.
    const strikes = before + (latestTakenAt > failedAt ? 1 : 0);
    if (strikes >= this.poisonAttempts) {
      const { spanCount } = lease.batch;
      this.log.warn('poison', () => `${spanCount} spans dropped: they alone failed ${strikes} times: ${outcome.error}`);
      this.settleAs(lease, giveUp(outcome, 'poison'));
      return;
    }
    const wait = Math.min(MIN_RETRY_MILLIS * 2 ** (strikes - 1), MAX_RETRY_MILLIS);
    this.aside.push({ lease, suspicion: { strikes, failedAt: now, retryAt: now + wait } });
  }

  /** Suspects go back to where they came from, since nobody will try them again. */
  releaseSuspects(): void {
    for (const { lease } of this.aside.splice(0)) this.settleAs(lease, untouched(lease.batch));
  }

  private async lease(): Promise<SpoolLease | undefined> {
    const lease = await this.spool.lease();
    this.exhausted = lease === undefined;
    return lease;
  }

  private settleAs(lease: SpoolLease, outcome: HotAnswer['outcome']): void {
    try {
      lease.settle(outcome);
    } catch (thrown) {
      this.log.warn('settle', () => `the spool failed to settle a batch: ${toError(thrown).message}`);
    }
    if (outcome.remaining) this.exhausted = false;
  }
}

const UNTOUCHED = new ExportError('REFUSED', 'not tried');
const untouched = (batch: SpanBatch) => failedOutcome(batch, 'refused', UNTOUCHED);
