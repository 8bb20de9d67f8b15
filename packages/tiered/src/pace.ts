import { type Clock, sleep } from '@otel-resilience/core';

/** Lets so many spans through in a second, and no burst. */
export class Pace {
  /** What may go at a time, so that a slow rate is no rate of large bursts. */
  readonly maxSpans: number;
  private readonly clock: Clock;
  private readonly millisPerSpan: number;
  private next: number;

  /** `undefined`: as fast as it goes. */
  constructor(spansPerSecond: number | undefined, clock: Clock) {
    this.clock = clock;
    this.millisPerSpan = spansPerSecond === undefined ? 0 : 1_000 / spansPerSecond;
    this.maxSpans =
      spansPerSecond === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(spansPerSecond / 4));
    this.next = clock.now();
  }

  /** Resolves to `false` when `signal` aborts before it is `spans`' turn. */
  async turn(spans: number, signal: AbortSignal): Promise<boolean> {
    const now = this.clock.now();
    const at = Math.max(now, this.next);
    this.next = at + spans * this.millisPerSpan;
    return at > now ? sleep(this.clock, at - now, signal) : !signal.aborted;
  }
}
