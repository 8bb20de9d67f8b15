import {
  type Clock,
  describeError,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  SpanBatch,
  type SpanBatchExporter,
  toError,
  totalDropped,
} from '@otel-resilience/core';
import type { Pace, SpanSpool, SpoolLease } from '@otel-resilience/tiered';

export interface SenderOptions {
  readonly spool: SpanSpool;
  readonly exporter: SpanBatchExporter;
  readonly clock: Clock;
  readonly pace: Pace;
  /** As the spool has it. */
  readonly order: 'oldest' | 'newest';
  /** Spans, at most. */
  readonly limit: number;
  /** Aborted: nothing more is begun, and what is open gets a few seconds. */
  readonly interruption: AbortSignal;
  readonly onProgress: (sent: number) => void;
}

export interface SenderCounts {
  /** Acknowledged. */
  readonly sent: number;
  /** Received, and refused for good by an answer that took the others; or too large to be sent. */
  readonly rejected: number;
  /** Left in the spool, because the endpoint did not take them. */
  readonly refused: number;
}

const MAX_OPEN = 4;
/** An endpoint that takes nothing so often in a row takes nothing. */
const MAX_FAILURES_IN_A_ROW = 3;
/** For a batch, retries included. */
const BATCH_TIMEOUT_MILLIS = 120_000;
const GRACE_MILLIS = 5_000;

/**
 * Sends what waits in a spool. Spans leave it when they were acknowledged; a batch that an endpoint refuses is passed
 * over and stays, whatever the reason: a wrong header is no reason to lose anything.
 */
export class Sender {
  private readonly options: SenderOptions;
  /** Ends what is open. */
  private readonly cutOff = new AbortController();
  private readonly passedOver: Array<{ lease: SpoolLease; outcome: ExportOutcome }> = [];
  private readonly failedWith = new Map<string, number>();
  private sent = 0;
  private rejected = 0;
  private refused = 0;
  /** Of `limit`. */
  private taken = 0;
  private failuresInARow = 0;
  private open = 0;
  private stopped = false;
  private unreadable = false;

  constructor(options: SenderOptions) {
    this.options = options;
  }

  get counts(): SenderCounts {
    const { sent, rejected, refused } = this;
    return { sent, rejected, refused };
  }

  /** What was the matter, with the spans it cost. */
  get failures(): ReadonlyMap<string, number> {
    return this.failedWith;
  }

  /** Resolves when everything has been sent, the limit is reached, the endpoint takes nothing, or it is interrupted. */
  async run(): Promise<void> {
    const { interruption, clock } = this.options;
    let grace: object | undefined;
    const onInterruption = () => {
      this.stopped = true;
      grace = clock.setTimeout(() => this.cutOff.abort(new Error('interrupted')), GRACE_MILLIS, { keepAlive: true });
    };
    if (interruption.aborted) return;
    interruption.addEventListener('abort', onInterruption, { once: true });
    try {
      await this.work();
    } finally {
      interruption.removeEventListener('abort', onInterruption);
      clock.clearTimeout(grace);
      for (const { lease, outcome } of this.passedOver.splice(0)) lease.settle(outcome);
    }
  }

  /** One batch at a time until one was taken, then several. */
  private async work(): Promise<void> {
    const others: Array<Promise<void>> = [];
    const width = Math.min(MAX_OPEN, this.options.exporter.maxConcurrentExports);
    this.open++;
    while (await this.sendNext()) {
      if (this.sent === 0) continue;
      while (this.open < width && !this.stopped) {
        this.open++;
        others.push(this.sendAll());
      }
    }
    this.open--;
    await Promise.all(others);
  }

  private async sendAll(): Promise<void> {
    while (await this.sendNext());
  }

  /** `false` when there is no more to be done. */
  private async sendNext(): Promise<boolean> {
    const { spool, limit } = this.options;
    if (this.stopped || this.taken >= limit) return false;
    let lease: SpoolLease | undefined;
    try {
      lease = await spool.lease();
    } catch (thrown) {
      // Nothing else is left to be leased. The next one to ask is told no more than this.
      if (!this.unreadable) this.note(0, toError(thrown));
      this.unreadable = true;
    }
    if (!lease) return false;
    const { batch } = lease;
    const spans = Math.min(batch.spanCount, Math.max(0, limit - this.taken));
    this.taken += spans;
    const outcome = await this.send(batch, spans);
    this.settle(lease, outcome, spans);
    return true;
  }

  /** So many spans of a batch, from its older or newer end on, in such parts as the rate allows. */
  private async send(batch: SpanBatch, spans: number): Promise<ExportOutcome> {
    const { pace, order, interruption } = this.options;
    let outcome: ExportOutcome = NOTHING;
    let untried = batch;
    for (let left = spans; untried.spanCount > 0; ) {
      const size = Math.min(pace.maxSpans, left);
      const isTurn = size > 0 && !this.stopped && (await pace.turn(size, interruption));
      if (!isTurn) return followedBy(outcome, failedOutcome(untried, 'refused', NOT_TRIED));
      const [part, rest] = order === 'oldest' ? cut(untried, size) : cut(untried, untried.spanCount - size).reverse();
      untried = rest!;
      left -= size;
      const answer = await this.exportPart(part!);
      this.count(answer);
      outcome = followedBy(outcome, answer);
      if (outcome.remaining) return { ...outcome, remaining: joined(outcome.remaining, untried) };
    }
    return outcome;
  }

  /** Until something was sent, a single attempt: a wrong address should be known at once. */
  private async exportPart(part: SpanBatch): Promise<ExportOutcome> {
    const { exporter, clock } = this.options;
    const context = { signal: this.cutOff.signal, deadline: clock.now() + BATCH_TIMEOUT_MILLIS };
    const outcome = await exporter.exportBatch(part, { ...context, lastResort: this.sent === 0 });
    if (outcome.failure !== 'throttled' || this.sent > 0) return outcome;
    return followedBy(outcome, await exporter.exportBatch(outcome.remaining, context));
  }

  private count({ delivered, rejected, dropped, error }: ExportOutcome): void {
    const lost = rejected + totalDropped(dropped);
    this.sent += delivered;
    this.rejected += lost;
    if (delivered > 0) this.failuresInARow = 0;
    if (lost > 0 && error) this.note(lost, error);
    this.options.onProgress(this.sent + this.rejected);
  }

  private settle(lease: SpoolLease, outcome: ExportOutcome, spans: number): void {
    if (!outcome.remaining) {
      lease.settle(outcome);
      return;
    }
    // `permanent` would take the spans out of the spool.
    const kept = { ...outcome, failure: 'refused' } as const;
    const left = spans - (lease.batch.spanCount - outcome.remaining.spanCount);
    this.taken -= left;
    if (outcome.error === NOT_TRIED || this.cutOff.signal.aborted) {
      lease.settle(kept);
      return;
    }
    // Not leased again in this run.
    this.passedOver.push({ lease, outcome: kept });
    this.refused += left;
    this.note(left, outcome.error);
    const isUnreachable = this.sent === 0 && outcome.failure !== 'permanent';
    if (isUnreachable || ++this.failuresInARow >= MAX_FAILURES_IN_A_ROW) this.stopped = true;
  }

  private note(spans: number, error: Error): void {
    const message = describeError(error);
    if (this.failedWith.size < MAX_MESSAGES || this.failedWith.has(message)) {
      this.failedWith.set(message, (this.failedWith.get(message) ?? 0) + spans);
    }
  }
}

/** Whole batches as they are: to slice is to look for each span. */
function cut(batch: SpanBatch, at: number): SpanBatch[] {
  if (at === 0) return [EMPTY, batch];
  return at === batch.spanCount ? [batch, EMPTY] : [batch.slice(0, at), batch.slice(at)];
}

const joined = (a: SpanBatch, b: SpanBatch): SpanBatch => (b.spanCount === 0 ? a : SpanBatch.join([a, b]));

const EMPTY = SpanBatch.fromBytes([]);
const NOT_TRIED = new Error('not tried');
const MAX_MESSAGES = 20;
const NOTHING: ExportOutcome = { delivered: 0, rejected: 0, stored: 0, dropped: {} };
