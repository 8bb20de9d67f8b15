import { setMaxListeners } from 'node:events';
import {
  adaptSpanExporter,
  type Clock,
  describeError,
  type SpanBatch,
  sleep,
  systemClock,
  type Timer,
  toError,
} from '@otel-resilience/core';
import { ArchiveReader } from '../object-store/archive-reader.js';
import { isWanted } from '../object-store/archive-selection.js';
import { inOrder } from '../object-store/in-order.js';
import type { RestoreOptions } from '../object-store/object-store.js';
import { RetryingObjectStore } from '../object-store/retrying-object-store.js';
import { Pace } from '../pace.js';
import { findObjects } from './find-objects.js';
import { type FoundObject, needsRestore, type Source } from './found-object.js';
import { readObject } from './read-object.js';
import type { ReadRehydrateOptions } from './rehydrate-options.js';
import { ProgressReporter } from './rehydrate-progress.js';
import { RehydrateBooks, type RehydrateProblem, type RehydrateReport } from './rehydrate-report.js';
import { Restores } from './restores.js';
import { SeenSpans } from './seen-spans.js';
import { SpanSender } from './span-sender.js';
import { unlessAborted } from './unless-aborted.js';

/** With the waits of a `RetryingObjectStore`: for about 5 s. */
const STORE_RETRIES = 6;
const STORE_ATTEMPT_MILLIS = 60_000;
/** Requests for restores, and looks at archived objects, at the same time. */
const CONCURRENCY = 8;
/** A store that gives none of so many objects in a row gives none. */
const MAX_UNREAD_IN_A_ROW = 5;
const NOTHING_RESTORING = { size: 0, weight: 0 };
const KEEP_ALIVE_MILLIS = 3_600_000;

/** One run of {@link rehydrate}. */
export class Rehydration {
  private readonly options: ReadRehydrateOptions;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly sources: readonly Source[];
  /** Aborted by the signal of the options, and when the run is over: nothing goes on then. */
  private readonly end = new AbortController();
  private readonly books = new RehydrateBooks();
  private readonly progress: ProgressReporter;
  private readonly restores: Restores | undefined;
  private readonly sender: SpanSender;
  private readonly seen = new SeenSpans();
  /** What can be read, as far as is known, in the order of the keys; those before `next` are over. */
  private readonly readable: FoundObject[] = [];
  private next = 0;
  private current: { readonly object: FoundObject; selected: number; settled: number } | undefined;
  private storedBytes = 0;
  private foundSpans = 0;
  private unreadInARow = 0;
  private error: string | undefined;

  constructor(options: ReadRehydrateOptions) {
    const { clock = systemClock, random = Math.random, spansPerSecond, restore, dryRun } = options;
    this.options = options;
    this.clock = clock;
    this.signal = this.end.signal;
    // One listener for each open call is no leak.
    setMaxListeners(0, this.signal);
    this.sources = options.from.map((given) => {
      const store = new RetryingObjectStore({
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
    const release = this.holdOn();
    let isWhole = false;
    try {
      await this.find();
      if (!this.options.dryRun) await this.sendAll();
      isWhole = this.error === undefined;
    } catch (thrown) {
      if (!this.signal.aborted) this.error ??= describeError(toError(thrown));
    }
    const report = this.report(isWhole, startedAt);
    release();
    return report;
  }

  /** All there is, and asks for what has to be restored. */
  private async find(): Promise<void> {
    const { select } = this.options;
    const { signal, sources } = this;
    const onError = (thrown: unknown, hourMillis: number) => {
      if (!signal.aborted) this.error ??= describeError(toError(thrown));
      this.books.undone(hourMillis);
    };
    const found = findObjects({ sources, select, signal, onError });
    const looks = inOrder(found, CONCURRENCY, async (object) => ({ object, isReadable: await this.look(object) }));
    for await (const { object, isReadable } of looks) if (isReadable) this.readable.push(object);
    signal.throwIfAborted();
  }

  /** Whether it can be read, or might be. Otherwise it waits for its restore, or is in the books. */
  private async look(object: FoundObject): Promise<boolean> {
    this.books.objects.found++;
    this.storedBytes += object.storedBytes;
    this.foundSpans += object.spanCount ?? 0;
    this.progress.found(object);
    if (!needsRestore(object)) return true;
    try {
      if (this.restores) return await this.restores.ask(object);
      return !this.options.dryRun || (await this.isReadable(object));
    } catch (thrown) {
      this.books.undone(object.hourMillis);
      throw thrown;
    }
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
    const read = await readObject(object, this);
    if (read.batch || !read.isStoreDown) this.unreadInARow = 0;
    if (read.batch) {
      const batch = this.select(read.batch);
      current.selected = batch?.spanCount ?? 0;
      if (batch) await this.sender.send(batch);
      this.books.objects.done++;
      this.progress.over(object);
    } else if (read.state === 'archived' && this.restores) {
      if (await this.restores.ask(object)) this.readable.push(object);
    } else {
      this.giveUp(object, read.state, read.error);
      if (read.isStoreDown && ++this.unreadInARow >= MAX_UNREAD_IN_A_ROW) throw read.error;
    }
    this.current = undefined;
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
    this.progress.over(object);
  }

  private makeRestores(restore: Pick<RestoreOptions, 'days' | 'tier'>): Restores {
    const { signal, clock } = this;
    const timeoutMillis = this.options.restoreTimeoutMillis;
    const onGivenUp = (object: FoundObject, error: Error) => this.giveUp(object, 'archived', error);
    return new Restores({ restore, timeoutMillis, signal, clock, onGivenUp });
  }

  /** Follows the signal of the options, and keeps the process: all timers are unref'd, and somebody waits for this. */
  private holdOn(): () => void {
    const { signal } = this.options;
    const onAbort = () => this.end.abort(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    let timer: Timer | undefined;
    const arm = () => {
      timer = this.clock.setTimeout(arm, KEEP_ALIVE_MILLIS, { keepAlive: true });
    };
    arm();
    return () => {
      this.clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.end.abort(new Error('the run is over'));
    };
  }

  private report(isWhole: boolean, startedAt: number): RehydrateReport {
    const { books, current, progress, error } = this;
    const { dryRun } = this.options;
    const left = [...(current ? [current.object] : []), ...this.readable.slice(this.next), ...(this.restores ?? [])];
    for (const { hourMillis } of left) books.undone(hourMillis);
    const { found, damaged, archived, failed } = books.objects;
    const { rejected, dropped } = books.spans;
    const isDone = dryRun
      ? damaged + archived + failed === 0
      : books.objects.done === found && rejected + dropped === 0;
    const { resumeFromMillis } = books;
    const report: RehydrateReport = {
      dryRun,
      complete: isWhole && isDone,
      interrupted: !isWhole && this.signal.aborted,
      durationMillis: this.clock.now() - startedAt,
      objects: { ...books.objects, left: found - books.objectsOver },
      storedBytes: this.storedBytes,
      ...(progress.expectedSpans !== undefined && { expectedSpans: progress.expectedSpans }),
      foundSpans: this.foundSpans,
      spans: { ...books.spans },
      problems: books.problems,
      failures: books.failures,
      ...(error !== undefined && { error }),
      ...(resumeFromMillis !== undefined && !dryRun && { resumeFromMillis }),
    };
    progress.end(isWhole);
    return report;
  }
}
