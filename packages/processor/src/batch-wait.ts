export interface BatchWaitOptions {
  /** The longest wait, and the one in force while little is happening. */
  readonly max: number;
  /** The shortest. */
  readonly min: number;
  /** A batch of this many spans is worth a request of its own. */
  readonly worthwhileSpans: number;
}

const WEIGHT_OF_LAST = 0.3;

/**
 * How long a batch that does not fill up waits for more spans: as long as a worthwhile batch (`minExportBatchSize`)
 * needs to come together at the recent rate of spans, within `min` and `max`.
 *
 * A busy application's traces are visible sooner, and fewer spans are at risk in a crash; a quiet one sends few
 * requests. The rate is a moving average over the batches that have left, the last one counting for 30 %.
 */
export class BatchWait {
  private readonly options: BatchWaitOptions;
  private spansPerMilli: number | undefined;
  private since: number | undefined;

  constructor(options: BatchWaitOptions) {
    this.options = options;
  }

  get currentMillis(): number {
    const { min, max, worthwhileSpans } = this.options;
    if (!this.spansPerMilli) return max;
    return Math.min(max, Math.max(min, worthwhileSpans / this.spansPerMilli));
  }

  /** Called with every batch that leaves. */
  observe(spans: number, now: number): void {
    const { since } = this;
    this.since = now;
    if (since === undefined || now <= since) return;
    const rate = spans / (now - since);
    this.spansPerMilli =
      this.spansPerMilli === undefined ? rate : this.spansPerMilli * (1 - WEIGHT_OF_LAST) + rate * WEIGHT_OF_LAST;
  }
}
