import {
  type ArchiveAges,
  type ArchiveEntry,
  type ArchivePlace,
  ArchiveReader,
  placeFor,
} from '@otel-resilience/tiered';
import { COLD_CLASS, type DayStores } from './day-stores.js';
import { type DaySpan, type DayTraffic, indexOfSpan } from './day-traffic.js';

const HOUR = 3_600_000;
const MOST_VIOLATIONS = 20;

/** Where each span is, in how many objects. */
interface Count {
  readonly warm: Uint8Array;
  readonly cold: Uint8Array;
  /** Indexes without data, and data without an index. */
  readonly halves: string[];
}

/** Counts the spans in each tier, and compares that with where they should be. */
export class TierCensus {
  readonly violations: string[] = [];
  /** Spans that were acknowledged by the archive, by index. */
  readonly archived: Uint8Array;
  private readonly traffic: DayTraffic;
  private readonly stores: DayStores;
  private readonly ages: ArchiveAges;
  private readonly now: () => number;
  /** What is in an object, by key: by its hash, that is. */
  private readonly contents = new Map<string, readonly number[]>();
  private readonly seen = new Set<string>();

  constructor(traffic: DayTraffic, stores: DayStores, ages: ArchiveAges, now: () => number) {
    this.traffic = traffic;
    this.stores = stores;
    this.ages = ages;
    this.now = now;
    this.archived = new Uint8Array(traffic.spans.length);
  }

  placeOf({ endMillis }: DaySpan): ArchivePlace {
    return placeFor(endMillis - (endMillis % HOUR), this.now(), this.ages);
  }

  /** At any moment, whatever is under way: what is not due is somewhere, and nothing twice in one tier. */
  async checkNothingLost(when: string): Promise<void> {
    const { warm, cold } = await this.count();
    for (const span of this.traffic.spans) {
      const [inWarm, inCold] = [warm[span.index]!, cold[span.index]!];
      const isLost = this.archived[span.index] && this.placeOf(span) !== 'gone' && inWarm + inCold === 0;
      if (isLost || inWarm > 1 || inCold > 1) this.report(when, span, inWarm, inCold);
    }
  }

  /** When a lifecycle has come to its end: everything in the tier that its age says, whole, and nowhere else. */
  async checkPlaces(when: string): Promise<void> {
    const { warm, cold, halves } = await this.count();
    for (const span of this.traffic.spans) {
      const place = this.archived[span.index] ? this.placeOf(span) : 'gone';
      const [inWarm, inCold] = [warm[span.index]!, cold[span.index]!];
      const isRight = inWarm === Number(place === 'warm') && inCold === Number(place === 'cold');
      if (!isRight) this.report(when, span, inWarm, inCold);
    }
    for (const half of halves) this.violate(`${when}: ${half}`);
  }

  /** What a search by trace id finds, in each tier; with the time in which it was, where that is known. */
  async checkTrace(when: string, traceId: string, isTimeKnown: boolean): Promise<void> {
    const spans = this.traffic.spans.filter((span) => span.traceId === traceId && this.archived[span.index]);
    if (spans.length === 0) return;
    const fromMillis = Math.min(...spans.map(({ startMillis }) => startMillis));
    const toMillis = Math.max(...spans.map(({ endMillis }) => endMillis));
    const selection = { traceIds: [traceId], ...(isTimeKnown && { fromMillis, toMillis }) };
    const found = { warm: [] as number[], cold: [] as number[] };
    const { warm, cold } = this.stores.tiers;
    for (const store of cold ? [warm, cold] : [warm]) {
      const reader = new ArchiveReader({ store });
      for await (const entry of reader.find(selection)) {
        const place = this.tierOf(entry, store === cold);
        const isReadable = place === 'warm' || this.stores.isColdReadable;
        const batch = isReadable ? await reader.readMatching(entry, selection) : undefined;
        const indexes = isReadable
          ? (batch?.spans() ?? []).map(indexOfSpan)
          : this.contents.get(entry.key)!.filter((index) => this.traffic.spans[index]!.traceId === traceId);
        found[place].push(...indexes);
      }
    }
    for (const place of ['warm', 'cold'] as const) {
      const expected = spans.filter((span) => this.placeOf(span) === place).map(({ index }) => index);
      const actual = found[place].sort((a, b) => a - b);
      if (actual.join() !== expected.join())
        this.violate(`${when}: trace ${traceId} in ${place}: ${actual}, not ${expected}`);
    }
  }

  /** Reads everything once more, whatever has been seen of it. */
  forget(): void {
    this.seen.clear();
  }

  violate(violation: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push(violation);
  }

  private async count(): Promise<Count> {
    const spans = this.traffic.spans.length;
    const count: Count = { warm: new Uint8Array(spans), cold: new Uint8Array(spans), halves: [] };
    const { warm, cold } = this.stores.tiers;
    for (const store of cold ? [warm, cold] : [warm]) {
      const reader = new ArchiveReader({ store });
      for await (const entry of reader.list()) {
        const tier = this.tierOf(entry, store === cold);
        if (entry.storedBytes === undefined) count.halves.push(`${tier} has an index without data: ${entry.key}`);
        else {
          if (entry.indexBytes === undefined) count.halves.push(`${tier} has data without an index: ${entry.key}`);
          for (const index of await this.contentOf(reader, entry, tier)) count[tier][index]!++;
        }
      }
    }
    return count;
  }

  /** By its index and its data, which must fit, the first time that it is seen in a place. */
  private async contentOf(reader: ArchiveReader, entry: ArchiveEntry, tier: string): Promise<readonly number[]> {
    const { key, storedBytes, indexBytes } = entry;
    const place = `${tier} ${key} ${storedBytes} ${indexBytes}`;
    const known = this.contents.get(key);
    if (known && this.seen.has(place)) return known;
    const { state } = await reader.verify(entry);
    if (state === 'archived' && known) return known;
    if (state !== 'intact' && !(state === 'index' && indexBytes === undefined)) {
      this.violate(`${key} in ${tier} is ${state}`);
      return [];
    }
    this.seen.add(place);
    const content = known ?? (await reader.read(entry)).spans().map(indexOfSpan);
    this.contents.set(key, content);
    return content;
  }

  private tierOf({ storageClass }: ArchiveEntry, isColdStore: boolean): 'warm' | 'cold' {
    return isColdStore || (!this.stores.tiers.cold && storageClass === COLD_CLASS) ? 'cold' : 'warm';
  }

  private report(when: string, span: DaySpan, inWarm: number, inCold: number): void {
    const hour = new Date(span.endMillis).toISOString();
    const place = this.archived[span.index] ? this.placeOf(span) : 'not archived';
    this.violate(`${when}: span ${span.index} of ${hour} (${place}) is ${inWarm} times in warm, ${inCold} in cold`);
  }
}
