import { type Clock, exportAttempt, type SpanBatch, type SpanBatchExporter, sleep } from '@otel-resilience/core';
import type { Pace } from '../pace.js';
import type { RehydrateBooks } from './rehydrate-report.js';

export interface SpanSenderOptions {
  readonly exporter: SpanBatchExporter;
  readonly pace: Pace;
  readonly books: RehydrateBooks;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
  /** Told after each attempt how many spans of the batch have been answered for. */
  readonly onSettled: (spans: number) => void;
}

/** Of one request: what every receiver takes (4 MiB is what a Collector takes over gRPC). */
const MAX_PART_SPANS = 1_000;
const MAX_PART_BYTES = 1024 * 1024;
const ATTEMPT_TIMEOUT_MILLIS = 30_000;
/** An exporter that fails so often in a row takes nothing: with these waits, after about half a minute. */
const MAX_FAILURES_IN_A_ROW = 10;
const MAX_REFUSALS_IN_A_ROW = 3;
const INITIAL_DELAY_MILLIS = 250;
const MAX_DELAY_MILLIS = 10_000;

const INTERRUPTED = new Error('the run was ended by its signal');

/** Sends batches in parts, one at a time and at a rate, and tries again what is worth it. */
export class SpanSender {
  private readonly options: SpanSenderOptions;
  private failuresInARow = 0;
  private refusalsInARow = 0;

  constructor(options: SpanSenderOptions) {
    this.options = options;
  }

  /** Every span is in the books when this resolves. Rejects with what ends the run: the exporter takes nothing, or the signal. */
  async send(batch: SpanBatch): Promise<void> {
    const { books } = this.options;
    const partSpans = this.partSpans(batch);
    for (let at = 0; at < batch.spanCount; ) {
      const end = Math.min(at + partSpans, batch.spanCount);
      const part = end - at === batch.spanCount ? batch : batch.slice(at, end);
      try {
        await this.sendPart(part);
      } catch (error) {
        books.failed(batch.spanCount - end, error);
        throw error;
      }
      at = end;
    }
  }

  private async sendPart(part: SpanBatch): Promise<void> {
    const { books, pace, signal, onSettled } = this.options;
    for (let left: SpanBatch | undefined = part; left; ) {
      if (!(await pace.turn(left.spanCount, signal))) {
        books.failed(left.spanCount, INTERRUPTED);
        throw INTERRUPTED;
      }
      const outcome = await this.attempt(left);
      const settled = left.spanCount - (outcome.remaining?.spanCount ?? 0);
      books.settled(outcome, outcome.error);
      onSettled(settled);
      if (settled > 0) this.failuresInARow = 0;
      if (outcome.delivered + outcome.stored > 0) this.refusalsInARow = 0;
      left = outcome.remaining;
      if (!left) continue;
      const { failure, error, retryAfterMillis = 0 } = outcome as Extract<typeof outcome, { remaining: SpanBatch }>;
      if (failure === 'permanent') {
        books.settled({ delivered: 0, stored: 0, rejected: left.spanCount, dropped: {} }, error);
        onSettled(left.spanCount);
        this.failuresInARow = 0;
        if (++this.refusalsInARow >= MAX_REFUSALS_IN_A_ROW) throw error;
        return;
      }
      const isOver = signal.aborted || failure === 'shutdown' || ++this.failuresInARow >= MAX_FAILURES_IN_A_ROW;
      const waitMillis = Math.max(retryAfterMillis, this.delay());
      if (isOver || !(await sleep(this.options.clock, waitMillis, signal))) {
        const reason = signal.aborted ? INTERRUPTED : error;
        books.failed(left.spanCount, reason);
        throw reason;
      }
    }
  }

  /** Repeated on a schedule of our own: layers of the exporter's make a single attempt, and open breakers a probe. */
  private attempt(part: SpanBatch) {
    const { exporter, clock, signal, books } = this.options;
    const context = {
      signal,
      deadline: clock.now() + ATTEMPT_TIMEOUT_MILLIS,
      lastResort: true,
      onLateAcknowledgement: (spans: number) => {
        books.spans.lateAcknowledged += spans;
      },
    };
    return exportAttempt(exporter, part, context, { clock });
  }

  private partSpans({ spanCount, byteLength }: SpanBatch): number {
    const byBytes = Math.floor(MAX_PART_BYTES / (byteLength / spanCount));
    return Math.max(1, Math.min(this.options.pace.maxSpans, MAX_PART_SPANS, byBytes));
  }

  /** Equal jitter: between half of it and all. */
  private delay(): number {
    const { random } = this.options;
    const exponential = Math.min(INITIAL_DELAY_MILLIS * 2 ** (this.failuresInARow - 1), MAX_DELAY_MILLIS);
    return exponential * (0.5 + random() / 2);
  }
}
