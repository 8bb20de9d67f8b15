import type { Clock } from '@otel-resilience/core';
import { type ArchiveEntry, listArchive } from '../object-store/archive-listing.js';
import { inOrder } from '../object-store/in-order.js';
import { isArchiveClass, isArchived, type ObjectStore, type StoreCallOptions } from '../object-store/object-store.js';
import { isAnswer, isNotFound, storeErrorCode } from '../object-store/object-store-error.js';
import { unlessAborted } from '../unless-aborted.js';
import { ClockDoubt } from './clock-doubt.js';
import type { ReadLifecycleOptions } from './lifecycle-options.js';
import type { LifecycleProgress, LifecycleReport } from './lifecycle-report.js';
import { LifecycleTally } from './lifecycle-report.js';
import { placeFor } from './place.js';
import { isWhole, type Readiness, readyToLeave } from './ready-to-leave.js';
import { changeClass, MOVE_STEPS, type MoveStep, removeObject, removeOrphan } from './steps.js';

const PROGRESS_MILLIS = 250;
/** A store that has failed so often in a row is left alone until the next run. */
const MAX_FAILURES_IN_A_ROW = 10;
const ALL = 'traces/';

export interface LifecycleRunContext extends ReadLifecycleOptions {
  readonly dryRun: boolean;
  readonly countKept: boolean;
  /** Why nothing is moved or deleted now, if so. */
  readonly heldBackReason: string | undefined;
  /** Ends the run between two objects. */
  readonly interruption: AbortSignal;
  /** Ends the calls that are open. */
  readonly end: AbortSignal;
  readonly onProgress: (progress: LifecycleProgress) => void;
  /** Rejects unless warm and cold are two places. Called before the first object is moved between them. */
  readonly checkSeparate: (call: StoreCallOptions) => Promise<void>;
  readonly steps?: readonly MoveStep[];
}

/**
 * One look through the stores, oldest first: so what is to be deleted goes before anything is moved, and makes room.
 * It goes no further than the first object that is young enough to stay.
 */
export class LifecycleRun {
  private readonly context: LifecycleRunContext;
  private readonly clock: Clock;
  private readonly nowMillis: number;
  private readonly call: StoreCallOptions;
  private readonly tally = new LifecycleTally();
  private readonly doubt: ClockDoubt;
  private failuresInARow = 0;
  /** Until the end of this sweep. */
  private hasGivenUp = false;
  private progressAt = Number.NEGATIVE_INFINITY;

  constructor(context: LifecycleRunContext) {
    this.context = context;
    this.clock = context.clock;
    this.nowMillis = context.clock.wallTime();
    this.call = { signal: context.end };
    this.doubt = new ClockDoubt(new Set([context.cold, context.warm]), this.nowMillis, context.ages, this.call);
  }

  async run(): Promise<LifecycleReport> {
    const { dryRun, countKept, interruption } = this.context;
    const startedAt = this.clock.now();
    // A store of somebody's own may not know that its call was ended.
    await unlessAborted(this.context.end, () => this.sweepAll()).catch((error) => this.failed(ALL, error));
    this.tellProgress(true);
    const durationMillis = this.clock.now() - startedAt;
    const about = { dryRun, startedMillis: this.nowMillis, durationMillis, interrupted: interruption.aborted };
    return this.tally.report(about, { countKept });
  }

  private async sweepAll(): Promise<void> {
    const { warm, cold } = this.context;
    if (this.hasTwoStores) await this.sweep(cold);
    await this.sweep(warm);
  }

  private get hasTwoStores(): boolean {
    return this.context.warm !== this.context.cold;
  }

  private async sweep(store: ObjectStore): Promise<void> {
    this.failuresInARow = 0;
    this.hasGivenUp = false;
    const { concurrency } = this.context;
    for await (const _ of inOrder(this.entries(store), concurrency, (entry) => this.attend(store, entry))) {
      this.tellProgress(false);
    }
  }

  /** Those that may have to go from here. */
  private async *entries(store: ObjectStore): AsyncGenerator<ArchiveEntry> {
    const onForeign = (key: string) => this.tally.foreign.add(key);
    try {
      for await (const entry of listArchive(store, ALL, { signal: this.context.interruption }, onForeign)) {
        if (this.context.interruption.aborted || this.hasGivenUp) return;
        const place = this.placeOf(entry);
        const stays = place === 'warm' || (place === 'cold' && this.hasTwoStores && store === this.context.cold);
        if (stays && !this.context.countKept) return;
        if (stays) this.keep(store, entry);
        else yield entry;
      }
    } catch (error) {
      this.failed(ALL, error);
    }
  }

  private async attend(store: ObjectStore, entry: ArchiveEntry): Promise<void> {
    if (this.hasGivenUp) return;
    this.tally.looked++;
    try {
      await this.settle(store, entry);
      this.failuresInARow = 0;
    } catch (error) {
      this.failed(entry.key, error);
    }
  }

  private async settle(store: ObjectStore, entry: ArchiveEntry): Promise<void> {
    const { dryRun } = this.context;
    const isGone = this.placeOf(entry) === 'gone';
    const bytes = entry.storedBytes;
    if (bytes === undefined) return this.orphan(store, entry);
    if (!isGone && isCold(entry, this.context.coldStorageClass, this.hasTwoStores)) return this.keep(store, entry);
    const heldBackReason = this.context.heldBackReason ?? (isGone ? await this.doubt.about(entry) : undefined);
    if (heldBackReason !== undefined) {
      this.tally.holdBack(bytes, heldBackReason);
      return this.keep(store, entry);
    }
    if (isGone) {
      if (!dryRun) await removeObject(store, entry, this.call);
      this.tally.deleted.add(bytes);
    } else if (dryRun) {
      this.tally.moved.add(bytes);
      if (entry.indexBytes === undefined) this.tally.repaired.add(bytes);
    } else await this.move(entry);
  }

  private async move(entry: ArchiveEntry): Promise<void> {
    const { warm } = this.context;
    try {
      const ready = await readyToLeave(warm, entry, this.call);
      if (ready.state === 'ready') await this.moveReady(entry, ready);
      else if (ready.state === 'damaged') await this.damaged(entry);
      else if (ready.state === 'archived') this.keep(warm, entry);
      else await this.orphan(warm, entry);
    } catch (error) {
      // Another lifecycle may have been faster.
      const head = isAnswer(error) ? await warm.head(entry.key, this.call) : undefined;
      if (isNotFound(error) && !head) await this.orphan(warm, entry);
      else if (storeErrorCode(error) === 'ARCHIVED' && head && isArchived(head)) this.keep(warm, entry);
      else throw error;
    }
  }

  private async moveReady(entry: ArchiveEntry, ready: Readiness & { state: 'ready' }): Promise<void> {
    const { warm, cold, coldStorageClass: storageClass, steps = MOVE_STEPS } = this.context;
    if (ready.repaired) this.tally.repaired.add(ready.bytes);
    if (this.hasTwoStores) {
      await this.checkSeparate();
      for (const step of steps) await step({ ...this.call, from: warm, to: cold, storageClass, entry });
    } else {
      const expected = { bytes: ready.bytes, crc32: ready.index.crc32 };
      await changeClass(warm, entry, { ...this.call, storageClass, expected });
    }
    this.tally.moved.add(ready.bytes, ready.index.spanCount);
  }

  /** Stays, unless it was damaged after it had been copied by a run that did not come to its end. */
  private async damaged(entry: ArchiveEntry): Promise<void> {
    const { warm, cold } = this.context;
    if (this.hasTwoStores && (await isWhole(cold, entry, this.call))) {
      await this.checkSeparate();
      await removeObject(warm, entry, this.call);
      this.tally.moved.add(entry.storedBytes!);
      return;
    }
    this.tally.damaged.add(entry.key);
    this.keep(warm, entry);
  }

  /** Where they are one place nothing can be moved at all. */
  private async checkSeparate(): Promise<void> {
    try {
      await this.context.checkSeparate(this.call);
    } catch (error) {
      this.hasGivenUp = true;
      throw error;
    }
  }

  private async orphan(store: ObjectStore, entry: ArchiveEntry): Promise<void> {
    const { warm, cold, dryRun, heldBackReason } = this.context;
    if (heldBackReason !== undefined) return;
    const next = this.hasTwoStores && store === warm ? cold : undefined;
    if (dryRun || (await removeOrphan(store, entry, { ...this.call, next }))) this.tally.orphans++;
  }

  private keep(store: ObjectStore, { storedBytes, storageClass }: ArchiveEntry): void {
    if (storedBytes === undefined) return;
    const { cold, coldStorageClass } = this.context;
    const isInCold =
      (this.hasTwoStores && store === cold) || isCold({ storageClass }, coldStorageClass, this.hasTwoStores);
    this.tally.kept[isInCold ? 'cold' : 'warm'].add(storedBytes);
  }

  private placeOf({ hourMillis }: ArchiveEntry) {
    return placeFor(hourMillis, this.nowMillis, this.context.ages);
  }

  private failed(key: string, thrown: unknown): void {
    const { end, interruption } = this.context;
    if (end.aborted || (interruption.aborted && thrown === interruption.reason)) return;
    this.tally.failed(key, thrown);
    if (!isAnswer(thrown)) this.failuresInARow++;
    if (storeErrorCode(thrown) === 'SHUTDOWN' || this.failuresInARow >= MAX_FAILURES_IN_A_ROW) this.hasGivenUp = true;
  }

  private tellProgress(isLast: boolean): void {
    const now = this.clock.now();
    if (!isLast && now < this.progressAt) return;
    this.progressAt = now + PROGRESS_MILLIS;
    this.context.onProgress(this.tally.progress());
  }
}

/** By its class alone: in the one store there is, or somewhere it cannot be read any more. */
function isCold(
  { storageClass }: Pick<ArchiveEntry, 'storageClass'>,
  coldStorageClass: string,
  hasTwoStores: boolean,
): boolean {
  if (storageClass === undefined) return false;
  return !hasTwoStores && (storageClass === coldStorageClass || isArchiveClass(storageClass));
}
