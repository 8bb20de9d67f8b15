import { type Clock, LimitedLog } from '@otel-resilience/core';
import type { FoundObject } from './found-object.js';
import type { RehydrateBooks } from './rehydrate-report.js';

export interface RehydrateProgress {
  /** `restoring`: there is nothing to do but to wait for restores. */
  readonly phase: 'finding' | 'sending' | 'restoring';
  readonly objects: {
    readonly found: number;
    /** Sent, or known not to be sent. */
    readonly done: number;
    readonly restoring: number;
  };
  readonly spans: {
    /** To be sent, as indexes tell. Not known where a selection goes by time or trace id, or an index is missing. */
    readonly expected?: number;
    /** Acknowledged, or handed to a spool of the exporter's. */
    readonly sent: number;
  };
  /** Of the work, from 0 to 1, never less than before; 1 once there is nothing left. While finding, 0. */
  readonly fraction: number;
  /** Until all that can be read now has been sent, in milliseconds. Not known while finding, and while waiting for restores. */
  readonly etaMillis?: number;
}

const INTERVAL_MILLIS = 250;

export interface ProgressReporterOptions {
  readonly books: RehydrateBooks;
  readonly spansPerSecond: number;
  readonly clock: Clock;
  readonly onProgress: ((progress: RehydrateProgress) => void) | undefined;
  /** What waits for its restore. */
  readonly restoring: () => { readonly size: number; readonly weight: number };
}

/** Weighs objects by their spans, and measures how long they take. */
export class ProgressReporter {
  private readonly options: ProgressReporterOptions;
  private readonly log: LimitedLog;
  private phase: RehydrateProgress['phase'] = 'finding';
  private phaseSince: number;
  private nextAt = Number.NEGATIVE_INFINITY;
  private fraction = 0;
  private expected: number | undefined;
  /** Of what was found; of what is over; of the object at hand, as far as it is sent. */
  private weight = 0;
  private weightOver = 0;
  private weightUnderWay = 0;
  private sendingMillis = 0;

  constructor(options: ProgressReporterOptions) {
    this.options = options;
    this.log = new LimitedLog('rehydrate', { clock: options.clock });
    this.phaseSince = options.clock.now();
  }

  found(objects: readonly FoundObject[]): void {
    this.expected = 0;
    for (const { weight, expectedSpans } of objects) {
      this.weight += weight;
      if (expectedSpans === undefined) this.expected = undefined;
      else if (this.expected !== undefined) this.expected += expectedSpans;
    }
  }

  enter(phase: RehydrateProgress['phase']): void {
    if (phase === this.phase) return;
    const now = this.options.clock.now();
    if (this.phase === 'sending') this.sendingMillis += now - this.phaseSince;
    this.phase = phase;
    this.phaseSince = now;
    this.report();
  }

  /** So much of the object that is being sent has been answered for. */
  underWay({ weight }: FoundObject, share: number): void {
    this.weightUnderWay = weight * share;
    this.update();
  }

  over({ weight }: FoundObject): void {
    this.weightUnderWay = 0;
    this.weightOver += weight;
    this.update();
  }

  get expectedSpans(): number | undefined {
    return this.expected;
  }

  /** The last one; `isWhole` when there is nothing left to be done. */
  end(isWhole: boolean): void {
    if (isWhole) this.fraction = 1;
    this.report();
  }

  /** Reports if it is time. */
  update(): void {
    if (this.options.clock.now() >= this.nextAt) this.report();
  }

  private report(): void {
    const { clock, onProgress } = this.options;
    if (!onProgress) return;
    this.nextAt = clock.now() + INTERVAL_MILLIS;
    try {
      const returned: unknown = onProgress(this.progress());
      // An async callback that fails must not end the process with an unhandled rejection.
      Promise.resolve(returned).catch((thrown) => this.failed(thrown));
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  private progress(): RehydrateProgress {
    const { books, restoring } = this.options;
    const { objects, spans } = books;
    const done = this.weightOver + this.weightUnderWay;
    if (this.phase !== 'finding') {
      this.fraction = Math.max(this.fraction, this.weight === 0 ? 1 : Math.min(1, done / this.weight));
    }
    const etaMillis = this.phase === 'sending' ? this.etaMillis(done) : undefined;
    return {
      phase: this.phase,
      objects: { found: objects.found, done: books.objectsOver, restoring: restoring().size },
      spans: { ...(this.expected !== undefined && { expected: this.expected }), sent: spans.sent + spans.stored },
      fraction: this.fraction,
      ...(etaMillis !== undefined && { etaMillis }),
    };
  }

  /** As long as the same has taken so far, and no less than the rate allows. */
  private etaMillis(done: number): number {
    const { spansPerSecond, clock, books, restoring } = this.options;
    const left = Math.max(0, this.weight - done - restoring().weight);
    const { sent, stored, rejected, dropped } = books.spans;
    const selectedShare = done > 0 ? Math.min(1, (sent + stored + rejected + dropped) / done) : 1;
    const atTheRate = (left * selectedShare * 1_000) / spansPerSecond;
    const taken = this.sendingMillis + clock.now() - this.phaseSince;
    return Math.round(Math.max(atTheRate, done > 0 ? (taken / done) * left : 0));
  }

  private failed(thrown: unknown): void {
    this.log.warn('progress', () => `onProgress failed: ${String(thrown)}`);
  }
}
