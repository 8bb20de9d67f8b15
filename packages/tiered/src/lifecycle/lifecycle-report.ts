import { describeError, toError } from '@otel-resilience/core';

export interface LifecycleCount {
  readonly objects: number;
  /** Of their data, as it is stored. */
  readonly bytes: number;
  /** Where it is known: of what was moved, which has been looked at. */
  readonly spans?: number;
}

/** What one run did; with `dryRun`, what it would have done, as far as a list tells. */
export interface LifecycleReport {
  readonly dryRun: boolean;
  /** The wall time by which ages were counted. */
  readonly startedMillis: number;
  readonly durationMillis: number;
  /** Everything is where it belongs, but for what is damaged: the run came to its end, nothing failed or was held back. */
  readonly complete: boolean;
  /** By its signal or by `shutdown`. */
  readonly interrupted: boolean;
  /** From warm to cold. */
  readonly moved: LifecycleCount;
  readonly deleted: LifecycleCount;
  /** Whose index was missing, damaged or of other data, and has been made anew before they were moved. */
  readonly repaired: LifecycleCount;
  /** Indexes without data, removed. */
  readonly orphans: number;
  /** Due, and left where they are since the clock is not to be trusted; `reason` says why. */
  readonly heldBack?: LifecycleCount & { readonly reason: string };
  /** Not moved, since the data is not what was archived; left until they are due to be deleted. The first 20 by key. */
  readonly damaged: { readonly count: number; readonly keys: readonly string[] };
  /** Left for the next run; the first 20. */
  readonly failed: { readonly count: number; readonly errors: readonly LifecycleFailure[] };
  /** What lies among the objects and is none of an archive, as far as was listed; left alone. The first 20. */
  readonly foreign: { readonly count: number; readonly names: readonly string[] };
  /** With `countKept`: what stays where it is. */
  readonly kept?: { readonly warm: LifecycleCount; readonly cold: LifecycleCount };
}

export interface LifecycleFailure {
  /** Of the data; or a prefix, where a list failed. */
  readonly key: string;
  readonly message: string;
}

export interface LifecycleProgress {
  /** Objects that were looked at, of those that are old enough. */
  readonly looked: number;
  readonly moved: LifecycleCount;
  readonly deleted: LifecycleCount;
  readonly failed: number;
}

const MAX_NAMED = 20;

/** Counts objects, and those of their spans that are known. */
class Count {
  private objects = 0;
  private bytes = 0;
  private spans: number | undefined;

  add(bytes: number, spans?: number): void {
    this.objects++;
    this.bytes += bytes;
    if (spans !== undefined) this.spans = (this.spans ?? 0) + spans;
  }

  get(): LifecycleCount {
    return { objects: this.objects, bytes: this.bytes, ...(this.spans !== undefined && { spans: this.spans }) };
  }
}

/** Counts all, and keeps the first few. */
class Named<T> {
  count = 0;
  readonly first: T[] = [];

  add(item: T): void {
    if (this.count++ < MAX_NAMED) this.first.push(item);
  }
}

/** What a run has counted so far. */
export class LifecycleTally {
  readonly moved = new Count();
  readonly deleted = new Count();
  readonly repaired = new Count();
  readonly kept = { warm: new Count(), cold: new Count() };
  readonly damaged = new Named<string>();
  readonly foreign = new Named<string>();
  looked = 0;
  orphans = 0;
  private readonly failures = new Named<LifecycleFailure>();
  private readonly heldBack = new Count();
  private heldBackReason: string | undefined;

  holdBack(bytes: number, reason: string): void {
    this.heldBack.add(bytes);
    this.heldBackReason ??= reason;
  }

  failed(key: string, thrown: unknown): void {
    this.failures.add({ key, message: describeError(toError(thrown)) });
  }

  progress(): LifecycleProgress {
    return {
      looked: this.looked,
      moved: this.moved.get(),
      deleted: this.deleted.get(),
      failed: this.failures.count,
    };
  }

  report(
    about: Pick<LifecycleReport, 'dryRun' | 'startedMillis' | 'durationMillis' | 'interrupted'>,
    { countKept }: { countKept: boolean },
  ): LifecycleReport {
    const { failures, damaged, foreign, kept, heldBackReason: reason } = this;
    return {
      ...about,
      complete: !about.interrupted && failures.count === 0 && reason === undefined,
      moved: this.moved.get(),
      deleted: this.deleted.get(),
      repaired: this.repaired.get(),
      orphans: this.orphans,
      ...(reason !== undefined && { heldBack: { ...this.heldBack.get(), reason } }),
      damaged: { count: damaged.count, keys: damaged.first },
      failed: { count: failures.count, errors: failures.first },
      foreign: { count: foreign.count, names: foreign.first },
      ...(countKept && { kept: { warm: kept.warm.get(), cold: kept.cold.get() } }),
    };
  }
}
