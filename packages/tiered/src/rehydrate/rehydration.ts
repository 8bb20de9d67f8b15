import {
  adaptSpanExporter,
  type Clock,
  describeError,
  type SpanBatch,
  sleep,
  systemClock,
  toError,
} from '@otel-resilience/core';
import { ArchiveReader } from '../object-store/archive-reader.js';
import { isWanted } from '../object-store/archive-selection.js';
import { inOrder } from '../object-store/in-order.js';
import type { RestoreOptions } from '../object-store/object-store.js';
import { withRetries } from '../object-store/retrying-object-store.js';
import { Pace } from '../pace.js';
import { unlessAborted } from '../unless-aborted.js';
import { findObjects } from './find-objects.js';
import type { FoundObject, Source } from './found-object.js';
import { type ReadFailure, readObject } from './read-object.js';
import type { ReadRehydrateOptions } from './rehydrate-options.js';
import { ProgressReporter } from './rehydrate-progress.js';
import { RehydrateBooks, type RehydrateProblem, type RehydrateReport } from './rehydrate-report.js';
import { Restores } from './restores.js';
import { RunHold } from './run-hold.js';
import { SeenSpans } from './seen-spans.js';
import { SpanSender } from './span-sender.js';

/** With the waits of a `RetryingObjectStore`: for about 5 s. */
const STORE_RETRIES = 6;
const STORE_ATTEMPT_MILLIS = 60_000;
/** Requests for restores, and looks at archived objects, at the same time. */
const CONCURRENCY = 8;
/** A store that gives none of so many objects in a row gives none. */
const MAX_UNREAD_IN_A_ROW = 5;
const NOTHING_RESTORING = { size: 0, weight: 0 };

/** One run of {@link rehydrate}. */
export class Rehydration {
  private readonly options: ReadRehydrateOptions;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly sources: readonly Source[];
  private readonly hold: RunHold;
  private readonly books = new RehydrateBooks();
  private readonly progress: ProgressReporter;
  private readonly restores: Restores | undefined;
  private readonly sender: SpanSender;
  private readonly seen = new SeenSpans();
  /** In the order of their keys. */
  private objects: readonly FoundObject[] = [];
  /** Those that can be read, as far as is known: from `next` on they have not been. */
  private readonly readable: FoundObject[] = [];
  private next = 0;
  private current: { readonly object: FoundObject; selected: number; settled: number } | undefined;
  private unreadInARow = 0;
  private error: string | undefined;

  constructor(options: ReadRehydrateOptions) {
    const { clock = systemClock, random = Math.random, signal, spansPerSecond, restore, dryRun } = options;
    this.options = options;
    this.clock = clock;
    this.hold = new RunHold(clock, signal);
    this.signal = this.hold.signal;
    this.sources = options.from.map((given) => {
      const store = withRetries({
        store: given,
        maxRetries: STORE_RETRIES,
        attemptTimeoutMillis: STORE_ATTEMPT_MILLIS,
        clock,
        random,
      });
      return { store, reader: new ArchiveReader({ store, maxRawBytes: options.maxRawBytes }) };
    });
    const { books } = this;
    this.restores = restore && !dryRun ? this.makeRestores(restore) : undefined;
    this.progress = new ProgressReporter({
      books,
      spansPerSecond,
      clock,
      onProgress: options.onProgress,
      restoring: () => this.restores ?? NOTHING_RESTORING,
    });
    this.sender = new SpanSender({
      exporter: adaptSpanExporter(options.to, { clock }),
      pace: new Pace(spansPerSecond, clock),
      books,
      signal: this.signal,
      clock,
      random,
      onSettled: (spans) => this.onSettled(spans),
    });
  }

  async run(): Promise<RehydrateReport> {
    const startedAt = this.clock.now();
    this.hold.begin();
    let isWhole = false;
    try {
      await this.find();
      await this.sort();
      if (!this.options.dryRun) await this.sendAll();
      isWhole = this.error === undefined;
    } catch (thrown) {
      if (!this.signal.aborted) this.error ??= describeError(toError(thrown));
    }
    const report = this.report(isWhole, startedAt);
    this.hold.release();
    return report;
  }

  private async find(): Promise<void> {
    const { select } = this.options;
    const { signal, sources, books, progress } = this;
    const onFound = () => {
      books.objects.found++;
      progress.update();
    };
    const onError = (thrown: unknown, hourMillis: number) => {
      if (!signal.aborted) this.error ??= describeError(toError(thrown));
      books.undone(hourMillis);
    };
    this.objects = await findObjects({ sources, select, signal, onFound, onError });
    progress.found(this.objects);
    signal.throwIfAborted();
  }

  /** What has to be restored is asked for, all of it, before anything is sent. */
  private async sort(): Promise<void> {
    const looks = inOrder(this.objects, CONCURRENCY, async (object) => ({
      object,
      isReadable: await this.look(object),
    }));
    for await (const { object, isReadable } of looks) if (isReadable) this.readable.push(object);
  }

  /** Whether it can be read, or might be. Otherwise it waits for its restore, or is over. */
  private async look(object: FoundObject): Promise<boolean> {
    if (!object.isArchived) return true;
    if (this.restores) return this.restores.ask(object);
    return !this.options.dryRun || this.isReadable(object);
  }

  private async isReadable(object: FoundObject): Promise<boolean> {
    const { signal } = this;
    let error: unknown = new Error('it is archived, and has to be restored first');
    for (const { source } of object.copies) {
      try {
        const head = await unlessAborted(signal, () => source.store.head(object.key, { signal }));
        if (head?.restore.state === 'readable' || head?.restore.state === 'restored') return true;
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        error = thrown;
      }
    }
    this.giveUp(object, 'archived', error);
    return false;
  }

  private async sendAll(): Promise<void> {
    const { clock, signal, restores } = this;
    const { restorePollMillis } = this.options;
    for (let pollAt = clock.now() + restorePollMillis; ; ) {
      signal.throwIfAborted();
      const restoring = restores?.size ?? 0;
      if (restores && restoring > 0 && clock.now() >= pollAt) {
        for await (const object of restores.ready()) await this.send(object);
        pollAt = clock.now() + restorePollMillis;
      } else if (this.next < this.readable.length) {
        await this.send(this.readable[this.next]!);
        this.next++;
      } else if (restoring > 0) {
        this.progress.enter('restoring');
        await sleep(clock, pollAt - clock.now(), signal);
      } else return;
    }
  }

  /** Rejects with what ends the run. */
  private async send(object: FoundObject): Promise<void> {
    this.progress.enter('sending');
    const current = { object, selected: 0, settled: 0 };
    this.current = current;
    const read = await this.readSelected(object);
    if (read.state === 'read') {
      current.selected = read.batch?.spanCount ?? 0;
      if (read.batch) await this.sender.send(read.batch);
      this.books.objects.done++;
      this.over(object);
    } else if (read.state === 'archived' && this.restores) {
      if (await this.restores.ask(object)) this.readable.push(object);
    } else {
      this.giveUp(object, read.state, read.error);
      if (this.unreadInARow >= MAX_UNREAD_IN_A_ROW) throw read.error;
    }
    this.current = undefined;
  }

  /** Nothing holds the whole of the object while the part of it that is wanted is sent. */
  private async readSelected(
    object: FoundObject,
  ): Promise<ReadFailure | { readonly state: 'read'; readonly batch: SpanBatch | undefined }> {
    const read = await readObject(object, this);
    this.unreadInARow = read.state !== 'read' && read.isStoreDown ? this.unreadInARow + 1 : 0;
    return read.state === 'read' ? { state: 'read', batch: this.select(read.batch) } : read;
  }

  /** What is wanted, and has not been sent. */
  private select(batch: SpanBatch): SpanBatch | undefined {
    const { wanted } = this.options.select;
    const parts = batch.partition((head) => {
      if (!isWanted(head, wanted)) return 'unwanted';
      return this.seen.add(head) ? 'duplicate' : 'new';
    });
    const duplicates = parts.get('duplicate')?.spanCount ?? 0;
    const fresh = parts.get('new');
    this.books.spans.selected += duplicates + (fresh?.spanCount ?? 0);
    this.books.spans.duplicates += duplicates;
    return fresh;
  }

  private onSettled(spans: number): void {
    const { current } = this;
    if (!current) return;
    current.settled += spans;
    this.progress.underWay(current.object, current.settled / current.selected);
  }

  private giveUp(object: FoundObject, state: RehydrateProblem['state'], error: unknown): void {
    this.books.problem(state, object, error);
    this.over(object);
  }

  private over(object: FoundObject): void {
    object.isOver = true;
    this.progress.over(object);
  }

  private makeRestores(restore: Pick<RestoreOptions, 'days' | 'tier'>): Restores {
    const { signal, clock } = this;
    const timeoutMillis = this.options.restoreTimeoutMillis;
    const onGivenUp = (object: FoundObject, error: Error) => this.giveUp(object, 'archived', error);
    return new Restores({ restore, timeoutMillis, signal, clock, onGivenUp });
  }

  private report(isWhole: boolean, startedAt: number): RehydrateReport {
    const { books, progress, objects, error, clock, signal } = this;
    const report = books.report({
      dryRun: this.options.dryRun,
      isWhole,
      interrupted: !isWhole && signal.aborted,
      durationMillis: clock.now() - startedAt,
      objects,
      expectedSpans: progress.expectedSpans,
      error,
    });
    progress.end(isWhole);
    return report;
  }
}
