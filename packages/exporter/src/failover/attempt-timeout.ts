/** The default timeout of OTLP exporters, stock or ours: what takes longer has failed there, and is never acknowledged. */
const MAX_LEARNED_MILLIS = 10_000;
/** Room for an answer that takes longer than the one before. */
const MARGIN = 2;
const DECAY_WEIGHT = 0.3;

/**
 * How long one endpoint may take per attempt: what was configured, until it acknowledges spans later than that. Then it
 * is slow, not dead, and giving it up again and again would only send it the same spans: it gets twice the time it
 * took. One that answers fast again, or not at all, comes back to what was configured; so a black hole keeps nobody
 * waiting for longer.
 */
export class AttemptTimeout {
  private readonly configuredMillis: number;
  private readonly maxMillis: number;
  private current: number;

  constructor(configuredMillis: number) {
    this.configuredMillis = configuredMillis;
    this.maxMillis = Math.max(configuredMillis, MAX_LEARNED_MILLIS);
    this.current = configuredMillis;
  }

  get millis(): number {
    return this.current;
  }

  acknowledgedLate(afterMillis: number): void {
    this.current = Math.max(this.current, Math.min(this.maxMillis, afterMillis * MARGIN));
  }

  answered(afterMillis: number): void {
    const enough = afterMillis * MARGIN;
    if (enough < this.current) this.fallTo(this.current + DECAY_WEIGHT * (enough - this.current));
  }

  /** Nothing came while it was waited for. Less than the time it is expected to take says nothing. */
  unanswered(withinMillis: number): void {
    if (withinMillis * MARGIN >= this.current) this.fallTo(this.current / 2);
  }

  private fallTo(millis: number): void {
    this.current = Math.max(this.configuredMillis, millis);
  }
}
