import type { ExportOutcome } from '@otel-resilience/core';
import { Durations, percentile95 } from './durations.js';

/** Of the exports that ended within the window; the rates are `NaN` when there were none. */
export interface ExportRates {
  /** Exports that somebody was asked to take. */
  readonly count: number;
  /** Share of them that failed, 0 to 1. */
  readonly errorRate: number;
  /** Share of them that timed out, 0 to 1. */
  readonly timeoutRate: number;
}

const BUCKETS = 12;
const BUCKET_MILLIS = 5_000;
// 768 durations in all. In a busier bucket newer ones take the place of older ones.
const DURATIONS_PER_BUCKET = 64;

interface Bucket {
  count: number;
  failed: number;
  timedOut: number;
  readonly durations: Durations;
}

/**
 * How exports have gone within the last 60 seconds, in steps of 5.
 *
 * | a span that is | counts as |
 * |---|---|
 * | delivered | fine |
 * | stored in a spool | fine: nothing is lost, and the spool has a gauge of its own |
 * | rejected, dropped by a layer behind us, or left over after a failure | failed |
 * | left over because an attempt timed out | failed and timed out |
 * | refused by a breaker, a limiter or a taken slot; cut off by a shutdown | not at all: nobody was asked |
 *
 * Every export has the same weight, however large. One that failed for a part of its spans counts as that part of a
 * failure; one of which no span was put to anybody is not counted.
 *
 * The clock may jump: back, and no time has passed; forward over the window, and nothing is left in it.
 */
export class ExportWindow {
  private readonly buckets: Bucket[] = Array.from({ length: BUCKETS }, () => ({
    count: 0,
    failed: 0,
    timedOut: 0,
    durations: new Durations(DURATIONS_PER_BUCKET),
  }));
  private newest = 0;
  private newestSince: number;

  constructor(now: number) {
    this.newestSince = now;
  }

  observe(outcome: ExportOutcome, spanCount: number, durationMillis: number, now: number): void {
    this.moveTo(now);
    const asked = spanCount - unasked(outcome);
    if (asked <= 0) return;
    const bucket = this.buckets[this.newest]!;
    bucket.count++;
    bucket.failed += (asked - outcome.delivered - outcome.stored) / asked;
    if (saysTimeout(outcome.error)) bucket.timedOut += (outcome.remaining?.spanCount ?? 0) / asked;
    if (outcome.stored === 0) bucket.durations.add(Math.max(0, durationMillis));
  }

  rates(now: number): ExportRates {
    this.moveTo(now);
    let count = 0;
    let failed = 0;
    let timedOut = 0;
    for (const bucket of this.buckets) {
      count += bucket.count;
      failed += bucket.failed;
      timedOut += bucket.timedOut;
    }
    return { count, errorRate: failed / count, timeoutRate: timedOut / count };
  }

  /** 95th percentile of their durations, without those that ended in a spool; `NaN` when there were none. */
  latencyP95Millis(now: number): number {
    this.moveTo(now);
    return percentile95(this.buckets.flatMap(({ durations }) => durations.all));
  }

  private moveTo(now: number): void {
    const steps = Math.floor((now - this.newestSince) / BUCKET_MILLIS);
    if (steps < 0) this.newestSince = now;
    if (!(steps > 0)) return;
    for (let step = 0; step < Math.min(steps, BUCKETS); step++) {
      this.newest = (this.newest + 1) % BUCKETS;
      const bucket = this.buckets[this.newest]!;
      bucket.count = 0;
      bucket.failed = 0;
      bucket.timedOut = 0;
      bucket.durations.clear();
    }
    this.newestSince += steps * BUCKET_MILLIS;
  }
}

// Ours, that of gRPC, and that of a socket; what the stock HTTP exporter says has no code.
const TIMEOUT_CODES: readonly unknown[] = ['DEADLINE_EXCEEDED', 4, 'ETIMEDOUT'];
const TIMEOUT_MESSAGE = 'Request timed out';

function saysTimeout(error: Error | undefined): boolean {
  if (!error) return false;
  return TIMEOUT_CODES.includes((error as { code?: unknown }).code) || error.message === TIMEOUT_MESSAGE;
}

/** Spans that were put to nobody. */
function unasked({ failure, remaining, dropped }: ExportOutcome): number {
  const isOurs = failure === 'refused' || failure === 'shutdown';
  return (isOurs ? remaining.spanCount : 0) + (dropped.shutdown ?? 0);
}
