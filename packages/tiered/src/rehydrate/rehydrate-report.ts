import { describeError, type SettledCounts, toError, totalDropped } from '@otel-resilience/core';
import type { FoundObject } from './found-object.js';

/**
 * What became of the objects that may hold what was selected, as keys and indexes tell:
 *
 *     found = done + damaged + archived + failed + left
 */
export interface RehydratedObjects {
  readonly found: number;
  /** Read, and all that was selected in them has been answered for. */
  readonly done: number;
  /** Not what was archived, or larger than declared: nothing of them was sent. */
  readonly damaged: number;
  /** Have to be restored first, which was not asked for, was refused, or took too long. */
  readonly archived: number;
  /** The store did not give them, or had them no more. */
  readonly failed: number;
  /** Not begun, or not finished, when the run ended; in a dry run, what can be read at once. */
  readonly left: number;
}

/**
 * What became of the spans that were selected, of the objects that were read:
 *
 *     selected = sent + stored + rejected + dropped + duplicates + failed
 */
export interface RehydratedSpans {
  readonly selected: number;
  /** Acknowledged. */
  readonly sent: number;
  /** Handed to a spool of the exporter's, which answers for them from there on. */
  readonly stored: number;
  /** Refused for good: some of a request, or all of it (`permanent`). */
  readonly rejected: number;
  /** Given up by the exporter. */
  readonly dropped: number;
  /** In several objects, and sent once. */
  readonly duplicates: number;
  /** Not taken before the run ended. An attempt that was cut off may have arrived all the same. */
  readonly failed: number;
  /** Beside these: acknowledged after the attempt had been given up, so they may have been sent twice. */
  readonly lateAcknowledged: number;
}

export interface RehydrateProblem {
  /** Of the object. */
  readonly key: string;
  readonly state: 'damaged' | 'archived' | 'failed';
  readonly message: string;
}

export interface RehydrateReport {
  readonly dryRun: boolean;
  /**
   * Everything was found, and all of it sent, or handed to a spool, or known to have been: nothing is damaged, archived,
   * failed, left, rejected or dropped. Of a dry run: everything was found, and can be read at once.
   */
  readonly complete: boolean;
  /** By the signal. */
  readonly interrupted: boolean;
  readonly durationMillis: number;
  readonly objects: RehydratedObjects;
  /** Of what was found, as it is stored. */
  readonly storedBytes: number;
  /** Of those counted as `archived`: what a restore of them is paid by. */
  readonly archivedBytes: number;
  /** Spans that are to be sent, as indexes tell. Not known where a selection goes by time or trace id, or an index is missing. */
  readonly expectedSpans?: number;
  /** Spans in the objects that were found, as far as indexes tell: an upper bound of what can be selected in them. */
  readonly foundSpans: number;
  readonly spans: RehydratedSpans;
  /** Objects that were not sent, and why: the first 20. */
  readonly problems: readonly RehydrateProblem[];
  /** Why spans were not taken, and how many: the first 20 reasons. */
  readonly failures: ReadonlyArray<{ readonly message: string; readonly spans: number }>;
  /** What ended the run, or kept a part of the archive from being found. */
  readonly error?: string;
  /**
   * Everything that ended before is done: the `fromMillis` of a further run that is to send the rest. It sends what has
   * been sent since again: rehydration is at least once. Absent where nothing is left.
   */
  readonly resumeFromMillis?: number;
}

/** What the books do not know themselves. */
export interface FinishedRun {
  readonly dryRun: boolean;
  readonly isWhole: boolean;
  readonly interrupted: boolean;
  readonly durationMillis: number;
  readonly objects: readonly FoundObject[];
  readonly expectedSpans: number | undefined;
  readonly error: string | undefined;
}

const MAX_LISTED = 20;

/** The books of a run. */
export class RehydrateBooks {
  readonly objects = { found: 0, done: 0, damaged: 0, archived: 0, failed: 0 };
  readonly spans = {
    selected: 0,
    sent: 0,
    stored: 0,
    rejected: 0,
    dropped: 0,
    duplicates: 0,
    failed: 0,
    lateAcknowledged: 0,
  };
  readonly problems: RehydrateProblem[] = [];
  private readonly reasons = new Map<string, number>();
  private archivedBytes = 0;
  private firstUndone = Number.POSITIVE_INFINITY;

  /** An object that is over and is not done. */
  problem(state: RehydrateProblem['state'], { key, hourMillis, storedBytes }: FoundObject, thrown: unknown): void {
    this.objects[state]++;
    if (state === 'archived') this.archivedBytes += storedBytes;
    this.undone(hourMillis);
    if (this.problems.length < MAX_LISTED) {
      this.problems.push({ key, state, message: describeError(toError(thrown)) });
    }
  }

  /** Something that ended in this hour was not sent. */
  undone(hourMillis: number): void {
    this.firstUndone = Math.min(this.firstUndone, hourMillis);
  }

  settled({ delivered, stored, rejected, dropped }: SettledCounts, error: Error | undefined): void {
    const lost = rejected + totalDropped(dropped);
    this.spans.sent += delivered;
    this.spans.stored += stored;
    this.spans.rejected += rejected;
    this.spans.dropped += lost - rejected;
    if (lost > 0) this.reason(lost, error ?? new Error('no reason was given'));
  }

  failed(spans: number, error: unknown): void {
    this.spans.failed += spans;
    if (spans > 0) this.reason(spans, error);
  }

  get objectsOver(): number {
    const { done, damaged, archived, failed } = this.objects;
    return done + damaged + archived + failed;
  }

  report(run: FinishedRun): RehydrateReport {
    const { dryRun, isWhole, interrupted, durationMillis, objects, expectedSpans, error } = run;
    const left = objects.filter(({ isOver }) => !isOver);
    for (const { hourMillis } of left) this.undone(hourMillis);
    const { damaged, archived, failed, done, found } = this.objects;
    const { rejected, dropped } = this.spans;
    const isDone = dryRun ? damaged + archived + failed === 0 : done === found && rejected + dropped === 0;
    return {
      dryRun,
      complete: isWhole && isDone,
      interrupted,
      durationMillis,
      objects: { ...this.objects, left: left.length },
      storedBytes: objects.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0),
      archivedBytes: this.archivedBytes,
      ...(expectedSpans !== undefined && { expectedSpans }),
      foundSpans: objects.reduce((spans, { spanCount = 0 }) => spans + spanCount, 0),
      spans: { ...this.spans },
      problems: [...this.problems],
      failures: [...this.reasons].map(([message, spans]) => ({ message, spans })),
      ...(error !== undefined && { error }),
      ...(Number.isFinite(this.firstUndone) && !dryRun && { resumeFromMillis: this.firstUndone }),
    };
  }

  private reason(spans: number, thrown: unknown): void {
    const message = describeError(toError(thrown));
    if (this.reasons.size < MAX_LISTED || this.reasons.has(message)) {
      this.reasons.set(message, (this.reasons.get(message) ?? 0) + spans);
    }
  }
}
