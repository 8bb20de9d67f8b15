import { hourOf, hourPrefix } from '../object-store/archive-key.js';
import { listArchive } from '../object-store/archive-listing.js';
import type { ObjectStore, StoreCallOptions } from '../object-store/object-store.js';
import { type ArchiveAges, placeFor } from './place.js';

const HOUR_MILLIS = 3_600_000;
const YEAR_MILLIS = 365 * 24 * HOUR_MILLIS;
/** One object is looked for; a few keys may be foreign. */
const PAGE_SIZE = 20;

/**
 * Whether it is rather the wall clock that is wrong, by years, than everything old. A lifecycle that runs now and then
 * finds objects that have become due since; with a clock that has gained years, all that is due has been so for years,
 * and whatever that clock has dated itself is young. So who is long overdue goes only if others are due that are not.
 */
export class ClockDoubt {
  private readonly stores: readonly ObjectStore[];
  private readonly nowMillis: number;
  private readonly ages: ArchiveAges;
  private readonly call: StoreCallOptions;
  private answer: Promise<string | undefined> | undefined;

  constructor(stores: Iterable<ObjectStore>, nowMillis: number, ages: ArchiveAges, call: StoreCallOptions) {
    this.stores = [...stores];
    this.nowMillis = nowMillis;
    this.ages = ages;
    this.call = call;
  }

  /** Why an object that is due to be deleted had better not be; asks the stores once, if at all. */
  async about({ hourMillis }: { readonly hourMillis: number }): Promise<string | undefined> {
    if (!this.isLongOverdue(hourMillis)) return undefined;
    this.answer ??= this.ask();
    try {
      return await this.answer;
    } catch (error) {
      this.answer = undefined;
      throw error;
    }
  }

  private async ask(): Promise<string | undefined> {
    for (const store of this.stores) if (await this.hasDue(store)) return undefined;
    const now = new Date(this.nowMillis).toISOString();
    return `all that is due to be deleted has been so for more than a year: is the wall clock right (${now})? If it is, raise deleteAfterMillis (--delete-after) for one run, so that they are overdue by less`;
  }

  /** Whether one has become due within the last year. */
  private async hasDue(store: ObjectStore): Promise<boolean> {
    // By the end of an hour: the first one that is not long overdue begins an hour before.
    const from = this.nowMillis - YEAR_MILLIS - this.ages.deleteAfterMillis - HOUR_MILLIS;
    const options = { ...this.call, startAfter: hourPrefix(hourOf(from)), pageSize: PAGE_SIZE };
    for await (const { hourMillis, storedBytes } of listArchive(store, 'traces/', options)) {
      if (placeFor(hourMillis, this.nowMillis, this.ages) !== 'gone') return false;
      if (storedBytes !== undefined && !this.isLongOverdue(hourMillis)) return true;
    }
    return false;
  }

  private isLongOverdue(hourMillis: number): boolean {
    return placeFor(hourMillis, this.nowMillis - YEAR_MILLIS, this.ages) === 'gone';
  }
}
