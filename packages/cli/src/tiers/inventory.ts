import { type ArchiveEntry, ArchiveReader, type StorageClass } from '@otel-resilience/tiered';
import { serviceName } from './service-name.js';
import type { Tier } from './tier.js';

export type Grouping = 'day' | 'service' | 'hour';

/** Objects that are shown as one row. */
export interface Group {
  /** The day, the hour or the service. */
  readonly name: string;
  readonly storageClass: StorageClass;
  objects: number;
  /** Of data and indexes. */
  bytes: number;
  /** As far as indexes tell, where these were read. */
  spans: number | undefined;
  /** The hours in which their spans ended, in milliseconds since the epoch. */
  oldestHour: number;
  newestHour: number;
}

/** What lies in one place. */
export interface Inventory {
  readonly location: string;
  readonly groups: readonly Group[];
  /** Indexes whose data is gone. */
  readonly orphans: number;
  /** Data without an index. */
  readonly withoutIndex: number;
  /** Indexes that are damaged, or do not fit their data, or were not given; where they were read. */
  readonly damagedIndexes: number;
  readonly foreign: { readonly count: number; readonly names: readonly string[] };
}

const MAX_NAMED = 20;

export interface InventoryOptions {
  readonly by: Grouping;
  /** Whether indexes are read. */
  readonly countSpans: boolean;
  readonly onObject: () => void;
}

export async function takeInventory(tier: Tier, options: InventoryOptions): Promise<Inventory> {
  const { by, countSpans, onObject } = options;
  const reader = new ArchiveReader({ store: tier.retrying });
  const groups = new Groups(by, countSpans);
  const names: string[] = [];
  let [orphans, withoutIndex, damagedIndexes, foreignKeys] = [0, 0, 0, 0];
  const onForeign = (key: string) => {
    if (foreignKeys++ < MAX_NAMED) names.push(key);
  };
  for await (const entry of reader.list({ onForeign })) {
    onObject();
    if (entry.storedBytes === undefined) orphans++;
    else groups.add(entry);
    if (entry.indexBytes === undefined) withoutIndex++;
  }
  if (countSpans) {
    for await (const found of reader.find({}, { readData: false })) {
      onObject();
      if (found.index) groups.addSpans(found, found.index.spanCount);
      else if (found.problem !== 'index missing') damagedIndexes++;
    }
  }
  const { foreign } = tier.store.status();
  return {
    location: tier.shown,
    groups: groups.sorted(),
    orphans,
    withoutIndex,
    damagedIndexes,
    foreign: { count: foreignKeys + foreign.count, names: [...names, ...foreign.names].slice(0, MAX_NAMED) },
  };
}

class Groups {
  private readonly by: Grouping;
  private readonly countSpans: boolean;
  private readonly groups = new Map<string, Group>();

  constructor(by: Grouping, countSpans: boolean) {
    this.by = by;
    this.countSpans = countSpans;
  }

  add(entry: ArchiveEntry): void {
    const { hourMillis, storedBytes = 0, indexBytes = 0 } = entry;
    const group = this.groupOf(entry);
    group.objects++;
    group.bytes += storedBytes + indexBytes;
    group.oldestHour = Math.min(group.oldestHour, hourMillis);
    group.newestHour = Math.max(group.newestHour, hourMillis);
  }

  addSpans(entry: ArchiveEntry, spans: number): void {
    const group = this.groups.get(keyOf(this.nameOf(entry), entry.storageClass!));
    // What has come since the list is left out, as it is from the other figures.
    if (group) group.spans! += spans;
  }

  sorted(): Group[] {
    return [...this.groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
  }

  private groupOf(entry: ArchiveEntry): Group {
    const name = this.nameOf(entry);
    const storageClass = entry.storageClass!;
    const key = keyOf(name, storageClass);
    let group = this.groups.get(key);
    if (!group) {
      const hours = { oldestHour: Number.POSITIVE_INFINITY, newestHour: Number.NEGATIVE_INFINITY };
      group = { name, storageClass, objects: 0, bytes: 0, spans: this.countSpans ? 0 : undefined, ...hours };
      this.groups.set(key, group);
    }
    return group;
  }

  private nameOf({ hourMillis, service }: ArchiveEntry): string {
    if (this.by === 'service') return serviceName(service);
    const hour = new Date(hourMillis).toISOString();
    return this.by === 'day' ? hour.slice(0, 10) : `${hour.slice(0, 10)} ${hour.slice(11, 16)}Z`;
  }
}

const keyOf = (name: string, storageClass: StorageClass): string => `${name}\n${storageClass}`;
