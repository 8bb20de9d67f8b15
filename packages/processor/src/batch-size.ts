import { Durations, percentile95 } from './durations.js';

export interface BatchSizeOptions {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** The 95th percentile of export durations that is still fine. */
  readonly targetLatencyMillis: number;
  readonly intervalMillis: number;
}

export interface ExportObservation {
  readonly durationMillis: number;
  /** The batch left because it was full. */
  readonly full: boolean;
  /** Other full batches were waiting when it ended. */
  readonly backlog: boolean;
}

const SHRINK = 0.9;
const GROW = 1.1;
// Enough for the busiest interval to have a stable p95; further exports of the interval replace older ones.
const MAX_SAMPLES = 512;

/**
 * How many spans make a batch. Once per interval:
 *
 * - p95 of export durations over the target: × 0.9, for the receiver finds the batches too large; but not if full
 *   batches had to wait, since smaller ones would then only carry less;
 * - otherwise × 1.1, but only if a batch has left because it was full: growth that is not used means nothing;
 * - no export in the interval: no change.
 *
 * A timed-out export counts with the time it took. A batch that went to a spool says nothing about the receiver, and
 * is not shown to this rule.
 */
export class BatchSize {
  private readonly options: BatchSizeOptions;
  private exact: number;
  private readonly durations = new Durations(MAX_SAMPLES);
  private leftFull = false;
  private backlog = false;
  private intervalEnd: number;

  constructor(options: BatchSizeOptions, now: number) {
    this.options = options;
    this.exact = options.initial;
    this.intervalEnd = now + options.intervalMillis;
  }

  get current(): number {
    return Math.round(this.exact);
  }

  /** Called with every export that says something about the receiver. */
  observe({ durationMillis, full, backlog }: ExportObservation, now: number): void {
    this.durations.add(durationMillis);
    this.leftFull ||= full;
    this.backlog ||= backlog;
    if (now >= this.intervalEnd) this.adapt(now);
  }

  private adapt(now: number): void {
    const { min, max, targetLatencyMillis, intervalMillis } = this.options;
    if (percentile95(this.durations.all) > targetLatencyMillis) {
      if (!this.backlog) this.exact = Math.max(min, this.exact * SHRINK);
    } else if (this.leftFull) this.exact = Math.min(max, this.exact * GROW);
    this.durations.clear();
    this.leftFull = false;
    this.backlog = false;
    this.intervalEnd = now + intervalMillis;
  }
}
