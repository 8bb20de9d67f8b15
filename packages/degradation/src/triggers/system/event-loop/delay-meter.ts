import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { type LateTicks, waitPercentile, withoutStops } from './wait-percentile.js';

const NANOS_PER_MILLI = 1e6;

// The time that ticks do not account for is known to this share of the window: the histogram keeps three digits.
const HISTOGRAM_ERROR = 0.002;

/** The delay of the event loop in one window, by Node's `monitorEventLoopDelay`. */
export class DelayMeter {
  readonly resolutionMillis: number;
  private readonly histogram: IntervalHistogram;
  private startedAt = performance.now();

  constructor(resolutionMillis: number) {
    this.resolutionMillis = resolutionMillis;
    this.histogram = monitorEventLoopDelay({ resolution: resolutionMillis });
    this.histogram.enable();
  }

  /**
   * 99 % of what arrives has to wait no longer than this, in milliseconds. `activeMillis` is for how long the loop was
   * not idle in this window.
   */
  p99Millis(activeMillis: number): number {
    const windowMillis = performance.now() - this.startedAt;
    const late = this.ticks().map(({ count, lateMillis }) => ({
      count,
      lateMillis: lateMillis - this.resolutionMillis,
    }));
    const blocks = withoutStops([...late, this.unaccounted(windowMillis)], activeMillis);
    return waitPercentile(blocks, windowMillis, 0.01);
  }

  reset(): void {
    this.histogram.reset();
    this.startedAt = performance.now();
  }

  stop(): void {
    this.histogram.disable();
  }

  /**
   * A block that has just ended, its tick yet to come; or one that began right after a reset, whose first tick the
   * histogram only takes as its beginning. Both gaps are up to a resolution long when nothing is wrong.
   */
  private unaccounted(windowMillis: number): LateTicks {
    const { count, mean } = this.histogram;
    const accountedMillis = count === 0 ? 0 : (count * mean) / NANOS_PER_MILLI;
    const errorMillis = HISTOGRAM_ERROR * windowMillis;
    return { count: 1, lateMillis: windowMillis - accountedMillis - 2 * this.resolutionMillis - errorMillis };
  }

  /** Percentiles come at 0, 50, 75, 87.5 … 100: as fine as single ticks where it matters. */
  private ticks(): LateTicks[] {
    const { count, percentiles } = this.histogram;
    let below = 0;
    return Array.from(percentiles, ([percentile, nanos]) => {
      const ticks = { count: ((percentile - below) / 100) * count, lateMillis: nanos / NANOS_PER_MILLI };
      below = percentile;
      return ticks;
    });
  }
}
