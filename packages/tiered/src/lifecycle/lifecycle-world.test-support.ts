import { VirtualClock } from '@otel-resilience/testing';
import { expect } from 'vitest';
import { HOUR, many, NOON, soon } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { decodeIndex } from '../object-store/archive-index.js';
import { indexKeyOf, parseArchiveKey } from '../object-store/archive-key.js';
import { ArchiveWriter } from '../object-store/archive-writer.js';
import type { ObjectStore } from '../object-store/object-store.js';
import type { Lifecycle } from './lifecycle.js';
import type { ReadLifecycleOptions } from './lifecycle-options.js';
import type { LifecycleReport } from './lifecycle-report.js';
import { LifecycleRun } from './lifecycle-run.js';
import { type ArchiveAges, type ArchivePlace, placeFor } from './place.js';
import type { MoveStep } from './steps.js';

/** Ages in hours, so that a few hours of objects have all of them. */
export const AGES: ArchiveAges = { coldAfterMillis: 4 * HOUR, deleteAfterMillis: 8 * HOUR };

/** An archive object as a writer has made it. */
export interface Original {
  readonly key: string;
  readonly indexKey: string;
  readonly hourMillis: number;
  readonly data: Uint8Array;
  readonly index: Uint8Array;
  readonly spans: number;
}

/** One of each service for every hour: `ageHours` old at NOON. */
export async function makeOriginals(ageHours: readonly number[], services: readonly string[]): Promise<Original[]> {
  const store = new MemoryObjectStore();
  const writer = new ArchiveWriter({ store, ownsStore: false });
  for (const age of ageHours) {
    for (const serviceName of services) {
      const startMillis = NOON - age * HOUR - HOUR / 2;
      await writer.exportBatch(many(2, { startMillis, durationMillis: 1_000, serviceName }), soon());
    }
  }
  return store.keys
    .filter((key) => parseArchiveKey(key)!.kind === 'data')
    .map((key) => {
      const indexKey = indexKeyOf(key);
      const [data, index] = [key, indexKey].map((each) => store.objects.get(each)!.bytes) as [Uint8Array, Uint8Array];
      return { key, indexKey, hourMillis: parseArchiveKey(key)!.hourMillis, data, index, spans: 2 };
    });
}

/** Moves time on while only time is missing; what goes on in the thread pool is waited for. */
export async function finish<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let open = true;
  const close = () => {
    open = false;
  };
  promise.then(close, close);
  while (open) await clock.advance(clock.pendingTimers > 0 ? 50 : 0);
  return promise;
}

export type Hook = (when: 'before' | 'after', operation: string, key: string) => Promise<void> | void;

const HOOKED = ['put', 'get', 'head', 'remove', 'changeStorageClass', 'requestRestore'] as const;

/** The store as one process sees it: its hook is called, and awaited, around everything that it does. */
export function through(store: ObjectStore, hook: Hook): ObjectStore {
  const hooked = Object.fromEntries(
    HOOKED.map((operation) => [
      operation,
      async (key: string, ...rest: unknown[]) => {
        await hook('before', operation, key);
        const result = await (store[operation] as (key: string, ...rest: unknown[]) => Promise<unknown>)(key, ...rest);
        await hook('after', operation, key);
        return result;
      },
    ]),
  );
  return {
    ...(hooked as unknown as ObjectStore),
    async *list(prefix, options) {
      for await (const object of store.list(prefix, { ...options, pageSize: 3 })) {
        await hook('before', 'list', object.key);
        yield object;
      }
    },
    open: (options) => store.open(options),
    status: () => store.status(),
    shutdown: (options) => store.shutdown(options),
  };
}

export class Killed extends Error {}

/** A process that ends before or after the n-th thing it does; it does nothing any more then. */
export function dying(at: number, when: 'before' | 'after'): Hook & { readonly isDead: () => boolean } {
  let count = 0;
  let dead = false;
  const hook = (now: 'before' | 'after') => {
    if (!dead && now === when && count++ === at) dead = true;
    if (dead) throw new Killed('killed');
  };
  return Object.assign(hook, { isDead: () => dead });
}

/** The stores of a test, and what must be true of them. */
export class LifecycleWorld {
  readonly clock = new VirtualClock({ wallTime: NOON });
  readonly warm: MemoryObjectStore;
  readonly cold: MemoryObjectStore;
  readonly originals: readonly Original[];
  /** What has lost data that is not due, or left it where it cannot be found: kept, since a lifecycle reports what is thrown at it. */
  readonly losses: string[] = [];

  constructor(originals: readonly Original[], { stores }: { readonly stores: 1 | 2 }) {
    this.originals = originals;
    this.warm = new MemoryObjectStore({ clock: this.clock });
    this.cold = stores === 1 ? this.warm : new MemoryObjectStore({ clock: this.clock });
    for (const { key, indexKey, data, index } of originals) {
      this.put(this.warm, key, data);
      this.put(this.warm, indexKey, index);
    }
    for (const store of new Set([this.warm, this.cold])) store.after = () => this.look();
  }

  put(store: MemoryObjectStore, key: string, bytes: Uint8Array): void {
    store.objects.set(key, {
      bytes: Buffer.from(bytes),
      storageClass: 'STANDARD',
      restoredAt: undefined,
      restoredUntil: 0,
    });
  }

  placeOf({ hourMillis }: Original): ArchivePlace {
    return placeFor(hourMillis, this.clock.wallTime(), AGES);
  }

  /** At every moment: an object that is not due is there, and can be read or has its index beside it. */
  look(): void {
    for (const original of this.originals) {
      if (this.placeOf(original) === 'gone') continue;
      const isThere = [this.warm, this.cold].some((store) => {
        const stored = store.objects.get(original.key);
        if (!stored || !Buffer.from(stored.bytes).equals(original.data)) return false;
        return stored.storageClass === 'STANDARD' || this.hasFittingIndex(store, original);
      });
      if (!isThere) this.losses.push(original.key);
    }
  }

  hasFittingIndex(store: MemoryObjectStore, { indexKey, index }: Original): boolean {
    const stored = store.objects.get(indexKey);
    const [found, expected] = [stored && decodeIndex(stored.bytes), decodeIndex(index)!];
    return (
      stored?.storageClass === 'STANDARD' &&
      JSON.stringify({ ...found, archivedMillis: 0 }) === JSON.stringify({ ...expected, archivedMillis: 0 })
    );
  }

  /** Each is where its age says, once, and what was moved has its index beside it. `others` are keys that stay. */
  expectAllInPlace(others: readonly string[] = []): void {
    expect(this.losses).toEqual([]);
    const expected = new Map([
      [this.warm, [] as string[]],
      [this.cold, [] as string[]],
    ]);
    for (const original of this.originals) {
      const place = this.placeOf(original);
      if (place === 'gone') continue;
      const store = place === 'warm' ? this.warm : this.cold;
      expected.get(store)!.push(original.key);
      const stored = store.objects.get(original.key);
      expect(stored, `${original.key} in ${place}`).toBeDefined();
      expect(Buffer.from(stored!.bytes).equals(original.data)).toBe(true);
      expect(stored!.storageClass).toBe(place === 'warm' ? 'STANDARD' : 'GLACIER');
      if (place === 'cold') expect(this.hasFittingIndex(store, original)).toBe(true);
    }
    const indexes = (keys: string[]) => keys.flatMap((key) => [indexKeyOf(key), key]);
    for (const store of new Set([this.warm, this.cold])) {
      const own = store.keys.filter((key) => !others.includes(key) && !key.startsWith('lifecycle-probe-'));
      const data = own.filter((key) => parseArchiveKey(key)?.kind === 'data');
      expect(data).toEqual(expected.get(store)!.sort());
      // An index that was missing is none that has to be there before its data is moved.
      expect(indexes(expected.get(store)!)).toEqual(expect.arrayContaining(own));
    }
  }
}

/** A run of this lifecycle that moves objects in steps of the test's own. */
export function runInSteps(lifecycle: Lifecycle, steps: readonly MoveStep[]): Promise<LifecycleReport> {
  const { options } = lifecycle as unknown as { options: ReadLifecycleOptions };
  const never = new AbortController().signal;
  return new LifecycleRun({
    ...options,
    dryRun: false,
    countKept: false,
    heldBackReason: undefined,
    interruption: never,
    end: never,
    onProgress: () => {},
    checkSeparate: async () => {},
    steps,
  }).run();
}
