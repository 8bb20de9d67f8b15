import type { SpanBatch } from '@otel-resilience/core';
import { type DiskOperationKind, FaultyDisk, type VirtualClock } from '@otel-resilience/testing';
import {
  ArchiveWriter,
  FileObjectStore,
  Lifecycle,
  type LifecycleReport,
  type ObjectStore,
} from '@otel-resilience/tiered';
import { MemoryObjectStore } from '../support/memory-object-store.js';
import { COLD_CLASS, DAY_AGES, type DayStores, type Kill, type MakeLifecycle, type Tiers } from './day-stores.js';
import { Mortal } from './mortal.js';

export interface MortalStoresOptions {
  readonly clock: VirtualClock;
  /** With one of them cold is a storage class. */
  readonly stores: 1 | 2;
  readonly seed: number;
  readonly makeLifecycle?: MakeLifecycle;
}

/** The processes of a day within this one: each has seen nothing of those before, and is killed in the middle of anything. */
abstract class MortalStores implements DayStores {
  abstract readonly isColdReadable: boolean;
  protected readonly options: MortalStoresOptions;
  protected mortal = new Mortal();
  private lifecycle: ReturnType<MakeLifecycle> | undefined;
  private readonly changes = { archive: 1, lifecycle: 1 };

  constructor(options: MortalStoresOptions) {
    this.options = options;
  }

  abstract get tiers(): Tiers;

  archive(batch: SpanBatch, kill?: Kill): Promise<boolean> {
    return this.live('archive', kill, async () => {
      const { clock } = this.options;
      const writer = new ArchiveWriter({ store: this.tiersOfProcess().warm, compressionLevel: 1, clock });
      const context = { signal: new AbortController().signal, deadline: clock.now() + 20_000 };
      const outcome = await writer.exportBatch(batch, context);
      if (outcome.delivered !== batch.spanCount) throw outcome.error ?? new Error(JSON.stringify(outcome));
      return true;
    }).then((isDone) => isDone ?? false);
  }

  runLifecycle(kill?: Kill): Promise<LifecycleReport | undefined> {
    return this.live('lifecycle', kill, () => {
      const { clock, makeLifecycle = (options) => new Lifecycle(options) } = this.options;
      this.lifecycle ??= makeLifecycle({
        ...this.tiersOfProcess(),
        ...DAY_AGES,
        coldStorageClass: COLD_CLASS,
        clock,
      });
      return this.lifecycle.run();
    });
  }

  async close(): Promise<void> {}

  /** As the process sees them that lives now. */
  protected abstract tiersOfProcess(): Tiers;

  private async live<T>(what: keyof typeof this.changes, kill: Kill | undefined, work: () => Promise<T>) {
    const { mortal, changes } = this;
    const result = await mortal.live(work, kill === undefined ? undefined : Math.ceil(kill * changes[what]));
    if (result !== undefined) {
      // A run that finds nothing to do says little about the next one.
      changes[what] = Math.max(mortal.changes, changes[what] * 0.8);
      return result;
    }
    this.mortal = new Mortal();
    this.lifecycle = undefined;
    return undefined;
  }
}

/** Directories on a disk: a process is killed in the middle of an operation of the disk, and now and then the power fails. */
export class DiskStores extends MortalStores {
  readonly isColdReadable = true;
  protected disk: FaultyDisk;
  private deaths = 0;

  constructor(options: MortalStoresOptions) {
    super(options);
    this.disk = new FaultyDisk({
      seed: options.seed >>> 0,
      onOperation: ({ disk, operation }) => {
        // Of a process that is no more.
        if (disk !== this.disk) return new Promise(() => {});
        if (LOOKS.has(operation.kind)) return this.mortal.look();
        return this.mortal.change(() => this.die(disk));
      },
    });
  }

  get tiers(): Tiers {
    const store = (directory: string) => {
      return new FileObjectStore({ directory, fileSystem: this.disk, clock: this.options.clock });
    };
    return { warm: store('/warm'), cold: this.options.stores === 2 ? store('/cold') : undefined };
  }

  protected tiersOfProcess(): Tiers {
    return this.tiers;
  }

  private die(disk: FaultyDisk): void {
    this.disk = ++this.deaths % 3 === 0 ? disk.crash() : disk.kill();
  }
}

/** Stores that archive as S3 does: a process is killed before something is done, or after, when nobody is told. */
export class MemoryStores extends MortalStores {
  readonly isColdReadable = false;
  readonly tiers: Tiers;

  constructor(options: MortalStoresOptions) {
    super(options);
    // What is restored can be read at once.
    const store = () => new MemoryObjectStore({ restoreMillis: 0 });
    this.tiers = { warm: store(), cold: options.stores === 2 ? store() : undefined };
  }

  protected tiersOfProcess(): Tiers {
    const { warm, cold } = this.tiers;
    const { mortal } = this;
    return { warm: mortalView(warm, mortal), cold: cold && mortalView(cold, mortal) };
  }
}

const LOOKS: ReadonlySet<DiskOperationKind> = new Set(['list', 'open', 'size', 'read', 'close']);
const OPERATIONS = ['put', 'get', 'head', 'remove', 'changeStorageClass', 'requestRestore'] as const;

/** A store as a process sees it that dies. */
function mortalView(store: ObjectStore, mortal: Mortal): ObjectStore {
  const view: ObjectStore = Object.create(store);
  for (const operation of OPERATIONS) {
    const perform = store[operation].bind(store) as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(view, operation, {
      value: async (...args: unknown[]) => {
        const isChange = operation !== 'get' && operation !== 'head';
        const step = () => (isChange ? mortal.change() : mortal.look());
        await step();
        const result = await perform(...args);
        await step();
        return result;
      },
    });
  }
  const list: ObjectStore['list'] = async function* (prefix, options) {
    for await (const object of store.list(prefix, options)) {
      await mortal.look();
      yield object;
    }
  };
  Object.defineProperty(view, 'list', { value: list });
  return view;
}
