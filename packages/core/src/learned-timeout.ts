import { DEFAULT_EXPORT_TIMEOUT_MILLIS } from './span-batch-exporter.js';

/** The default timeout of OTLP exporters, stock or ours: what takes longer is acknowledged only where they have more. */
const USUAL_LIMIT_MILLIS = 10_000;
const MAX_LEARNED_MILLIS = DEFAULT_EXPORT_TIMEOUT_MILLIS;
/** Room for an answer that takes longer than the one before. */
const MARGIN = 2;
/** Fast answers among slow ones, from another endpoint say, must not cut those off. From 10 s to 5 s it takes 14. */
const DECAY_WEIGHT = 0.05;
/** A timer may fire so much early. */
const TIMER_TOLERANCE_MILLIS = 1;

/**
 * How long something may be waited for: what was configured, until it acknowledges spans later than that. Then it is
 * slow, not dead, and giving it up again and again would only send it the same spans: it gets twice the time it took.
 * One that answers fast again, or not at all, comes back to what was configured; so a black hole keeps nobody waiting
 * for longer.
 */
export class LearnedTimeout {
  private readonly configuredMillis: number;
  private current: number;

  constructor(configuredMillis: number) {
    this.configuredMillis = configuredMillis;
    this.current = configuredMillis;
  }

  get millis(): number {
    return this.current;
  }

  /** The time that it is known to need when that is more than was configured, else 0. */
  get learnedMillis(): number {
    return this.current > this.configuredMillis ? this.current : 0;
  }

  /** Whether or not anybody still waited for it. */
  acknowledged(afterMillis: number): void {
    const most = afterMillis > USUAL_LIMIT_MILLIS ? MAX_LEARNED_MILLIS : USUAL_LIMIT_MILLIS;
    const enough = Math.min(Math.max(this.configuredMillis, most), afterMillis * MARGIN);
    if (afterMillis > this.current) this.current = Math.max(this.current, enough);
    else if (enough < this.current) this.fallTo(this.current + DECAY_WEIGHT * (enough - this.current));
  }

  /**
   * Nothing came while it was waited for. Who was sent before it had the time that it has now says nothing. But where it
   * ended before its time was up, `givenMillis`, a timeout of the exporter's own has ended it: there will never be more.
   */
  unanswered(withinMillis: number, givenMillis = withinMillis): void {
    const endedItself = withinMillis + TIMER_TOLERANCE_MILLIS < givenMillis && withinMillis > this.configuredMillis;
    if (endedItself || withinMillis + TIMER_TOLERANCE_MILLIS >= this.current) this.fallTo(this.current / 2);
  }

  private fallTo(millis: number): void {
    this.current = Math.max(this.configuredMillis, millis);
  }
}
