import { type Clock, type Timer, toError } from '@otel-resilience/core';
import type { OpenSource, SampleSource } from './sample-source.js';

// A sample is overdue after this many intervals and a grace for a busy machine.
const OVERDUE_INTERVALS = 3;
const OVERDUE_GRACE_MILLIS = 5_000;

/**
 * Takes samples of one source at an interval, beside everything else. One sample at a time: one that hangs is not
 * asked again until it settles.
 */
export class Sampling {
  private readonly clock: Clock;
  private readonly intervalMillis: number;
  private readonly open: OpenSource;
  private source: SampleSource | undefined;
  private timer: Timer | undefined;
  private failure: Error | undefined;
  private sampledAt: number;
  private stopped = false;
  private nextGapMillis: number;

  /** `phase`, from 0 up to 1: by how much of an interval the second sample comes sooner. */
  constructor(clock: Clock, intervalMillis: number, open: OpenSource, phase = 0) {
    this.clock = clock;
    this.intervalMillis = intervalMillis;
    this.nextGapMillis = intervalMillis * (1 - phase);
    this.open = open;
    this.sampledAt = clock.now();
    // By a timer of the clock, since whoever starts us may be in the middle of a request.
    this.schedule(0);
  }

  /** What the samples say; throws when they fail, or when none has come for long. */
  read(): number | undefined {
    if (this.failure) throw this.failure;
    const ageMillis = this.clock.now() - this.sampledAt;
    if (ageMillis > this.overdueMillis) throw new Error(`no sample for ${Math.round(ageMillis)} ms`);
    return this.source?.read();
  }

  stop(): void {
    this.stopped = true;
    this.clock.clearTimeout(this.timer);
    this.source?.close?.();
    this.source = undefined;
  }

  private get overdueMillis(): number {
    return OVERDUE_INTERVALS * this.intervalMillis + OVERDUE_GRACE_MILLIS;
  }

  private schedule(delayMillis: number): void {
    if (this.stopped) return;
    this.timer = this.clock.setTimeout(() => void this.sample(), delayMillis);
  }

  private async sample(): Promise<void> {
    try {
      const source = this.source ?? (await this.open(this.clock));
      if (this.stopped) {
        source.close?.();
        return;
      }
      this.source = source;
      await source.sample();
      this.failure = undefined;
      this.sampledAt = this.clock.now();
    } catch (error) {
      this.failure = toError(error, 'sampling failed');
    }
    this.schedule(this.nextGapMillis);
    this.nextGapMillis = this.intervalMillis;
  }
}
