import {
  type Clock,
  type ExportOutcome,
  exportAttempt,
  followedBy,
  rejectedOutcome,
  type SpanBatch,
  type SpanBatchExporter,
  sleep,
} from '@otel-resilience/core';
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
/** An exporter that fails so often in a row, after half a minute of waits, or rejects so many parts, takes nothing. */
const MAX_IN_A_ROW = 10;
const INITIAL_DELAY_MILLIS = 250;
const MAX_DELAY_MILLIS = 10_000;

const NOTHING_TAKEN = new Error('the exporter rejects whatever it is given');
const INTERRUPTED = new Error('the run was ended by its signal');

/** Sends batches in parts, one at a time and at a rate, and tries again what is worth it. */
export class SpanSender {
  private readonly options: SpanSenderOptions;
  private failuresInARow = 0;
  /** Requests of which all was rejected; the last time for this reason. */
  private rejectedInARow = 0;
  private rejection: Error = NOTHING_TAKEN;

  constructor(options: SpanSenderOptions) {
    this.options = options;
  }

  /** Every span is in the books when this resolves. Rejects with what ends the run: the exporter takes nothing, or the signal. */
  async send(batch: SpanBatch): Promise<void> {
    const { books, pace } = this.options;
    let untried = batch.spanCount;
    try {
      for (const part of partsOf(batch, Math.min(pace.maxSpans, MAX_PART_SPANS))) {
        untried -= part.spanCount;
        await this.sendPart(part);
      }
    } catch (error) {
      books.failed(untried, error);
      throw error;
    }
  }

  private async sendPart(part: SpanBatch): Promise<void> {
    const { pace, signal, clock } = this.options;
    for (let left = part; ; ) {
      if (this.rejectedInARow >= MAX_IN_A_ROW) throw this.failed(left, this.rejection);
      if (!(await pace.turn(left.spanCount, signal))) throw this.failed(left, INTERRUPTED);
      const outcome = await this.attempt(left);
      this.count(left, outcome);
      if (!outcome.remaining) return;
      left = outcome.remaining;
      const { failure, error, retryAfterMillis = 0 } = outcome;
      if (signal.aborted) throw this.failed(left, INTERRUPTED);
      if (failure === 'shutdown' || ++this.failuresInARow >= MAX_IN_A_ROW) throw this.failed(left, error);
      const waitMillis = Math.max(retryAfterMillis, this.delay());
      if (!(await sleep(clock, waitMillis, signal))) throw this.failed(left, INTERRUPTED);
    }
  }

  private count(part: SpanBatch, outcome: ExportOutcome): void {
    const { books, onSettled } = this.options;
    const settled = part.spanCount - (outcome.remaining?.spanCount ?? 0);
    books.settled(outcome, outcome.error);
    onSettled(settled);
    if (settled > 0) this.failuresInARow = 0;
    if (outcome.delivered + outcome.stored > 0) this.rejectedInARow = 0;
    else if (!outcome.remaining) {
      this.rejectedInARow++;
      this.rejection = outcome.error ?? NOTHING_TAKEN;
    }
  }

  private failed(part: SpanBatch, error: Error): Error {
    this.options.books.failed(part.spanCount, error);
    return error;
  }

  /** Repeated on a schedule of our own: layers of the exporter's make a single attempt, and open breakers a probe. */
  private async attempt(part: SpanBatch): Promise<ExportOutcome> {
    const { exporter, clock, signal, books } = this.options;
    const context = {
      signal,
      deadline: clock.now() + ATTEMPT_TIMEOUT_MILLIS,
      lastResort: true,
      onLateAcknowledgement: (spans: number) => {
        books.spans.lateAcknowledged += spans;
      },
    };
    const outcome = await exportAttempt(exporter, part, context, { clock });
    // Who was asked is the one there is.
    if (outcome.failure !== 'permanent') return outcome;
    return followedBy(outcome, rejectedOutcome(outcome.remaining.spanCount, outcome.error));
  }

  /** Equal jitter: between half of it and all. */
  private delay(): number {
    const { random } = this.options;
    const exponential = Math.min(INITIAL_DELAY_MILLIS * 2 ** (this.failuresInARow - 1), MAX_DELAY_MILLIS);
    return exponential * (0.5 + random() / 2);
  }
}

/** Halved until they fit, so that no more than twice the batch is held. */
function* partsOf(batch: SpanBatch, maxSpans: number): Generator<SpanBatch> {
  const { spanCount, byteLength } = batch;
  if (spanCount < 2 || (spanCount <= maxSpans && byteLength <= MAX_PART_BYTES)) {
    yield batch;
    return;
  }
  const middle = spanCount >>> 1;
  yield* partsOf(batch.slice(0, middle), maxSpans);
  yield* partsOf(batch.slice(middle), maxSpans);
}
