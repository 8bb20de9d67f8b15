import { type Clock, systemClock } from '@otel-resilience/core';
import { GaugeTrigger, type PipelineTriggerOptions } from './gauge-trigger.js';

const WINDOW_MILLIS = 60_000;
// What is seen within this time is kept as one, so that there are never more than 60.
const STEP_MILLIS = 1_000;

export type QuotaTriggerOptions = PipelineTriggerOptions;

/**
 * How many exports the backend has answered with "too much" (429, RESOURCE_EXHAUSTED) in the last 60 s: 1, 5, 20 and 60.
 * Counted from the start of the controller on, at the time they are seen. Immediate.
 */
export class QuotaTrigger extends GaugeTrigger {
  readonly immediate = true;
  private clock: Clock = systemClock;
  private total: number | undefined;
  private seen: Array<{ readonly at: number; count: number }> = [];

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: QuotaTriggerOptions) {
    super('QuotaTrigger', options, RULE, 'throttledExports');
  }

  start(clock: Clock): void {
    this.clock = clock;
    this.seen = [];
    this.total = super.read() ?? 0;
  }

  override read(): number | undefined {
    const total = super.read();
    if (total === undefined || !Number.isFinite(total)) return total;
    const now = this.clock.now();
    // A total that is smaller than before is that of another exporter, which has taken the place of the first.
    const count = Math.max(0, total - (this.total ?? total));
    this.total = total;
    if (now < (this.seen.at(-1)?.at ?? now)) this.seen = [];
    this.seen = this.seen.filter(({ at }) => now - at < WINDOW_MILLIS);
    const last = this.seen.at(-1);
    if (last && now - last.at < STEP_MILLIS) last.count += count;
    else if (count > 0) this.seen.push({ at: now, count });
    return this.seen.reduce((sum, { count }) => sum + count, 0);
  }
}

const RULE = { name: 'quota', thresholds: { light: 1, moderate: 5, heavy: 20, emergency: 60 } };
