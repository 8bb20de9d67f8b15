import { type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import type { VirtualClock } from '@otel-resilience/testing';
import { type ArchiveAges, rehydrate } from '@otel-resilience/tiered';
import { Random } from '../invariants/unbiased/random.js';
import type { DayStores } from './day-stores.js';
import { type DaySpan, DayTraffic, indexOfSpan, toReadableSpan } from './day-traffic.js';
import { TierCensus } from './tier-census.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export interface SimulatedDayOptions {
  readonly seed: number;
  /** At the beginning of an hour. */
  readonly clock: VirtualClock;
  readonly stores: DayStores;
  readonly ages: ArchiveAges;
  readonly hours?: number;
  readonly spansPerSecond?: number;
  /** How long spans are gathered to be archived; 72 minutes, so that most of them hold the end of an hour. Divides the day. */
  readonly batchMillis?: number;
  /** Tried on a lifecycle every hour, on average and beside the first; 1. */
  readonly kills?: number;
  /** Traces that are looked for at the end of the day; 40. */
  readonly traces?: number;
  /** Whether all of it is sent once more in the evening; true. */
  readonly rehydrates?: boolean;
}

export interface DayReport {
  readonly archived: number;
  readonly kills: number;
  readonly runs: number;
  readonly moved: number;
  readonly deleted: number;
  readonly violations: readonly string[];
}

interface Due {
  readonly spans: readonly DaySpan[];
  readonly atMillis: number;
}

/**
 * A day of an application's spans, archived as they end or, now and then, hours later or once more, and the hours after
 * it until all are gone. A lifecycle runs in every hour and is killed most of the time.
 */
export class SimulatedDay {
  private readonly options: Required<SimulatedDayOptions>;
  private readonly random: Random;
  private readonly traffic: DayTraffic;
  private readonly census: TierCensus;
  private due: Due[] = [];
  private nextBatchMillis: number;
  private hasArchived = false;
  private kills = 0;
  private runs = 0;
  private moved = 0;
  private deleted = 0;

  constructor(options: SimulatedDayOptions) {
    this.options = {
      hours: 24,
      spansPerSecond: 1,
      batchMillis: 72 * MINUTE,
      kills: 1,
      traces: 40,
      rehydrates: true,
      ...options,
    };
    const { seed, clock, hours, spansPerSecond, stores, ages } = this.options;
    this.random = new Random(seed);
    this.traffic = new DayTraffic({ seed: ~seed, beginMillis: clock.wallTime(), hours, spansPerSecond });
    this.nextBatchMillis = clock.wallTime() + this.options.batchMillis;
    this.census = new TierCensus(this.traffic, stores, ages, () => clock.wallTime());
  }

  async run(): Promise<DayReport> {
    const { hours, ages } = this.options;
    for (let hour = 1; hour <= hours; hour++) await this.passHour(hour);
    await this.checkEvening();
    const end = hours + ages.deleteAfterMillis / HOUR + 1;
    for (let hour = hours + 3; hour < end + 3; hour += 3) await this.passHour(hour);
    const { census, kills, runs, moved, deleted } = this;
    const archived = census.archived.reduce((sum, is) => sum + is, 0);
    if (archived !== this.traffic.spans.length)
      census.violate(`${archived} of ${this.traffic.spans.length} were archived`);
    return { archived, kills, runs, moved, deleted, violations: census.violations };
  }

  private async passHour(hour: number): Promise<void> {
    const { hours } = this.options;
    // On the hour, when something gets exactly as old as it may, or somewhat later.
    const lateMillis = this.random.chance(0.7) ? this.random.integer(1, 30 * MINUTE) : 0;
    await this.passUntil(this.traffic.beginMillis + hour * HOUR + lateMillis);
    // Or it would have the last word although it has not come to its end.
    const isLast = hour === hours || hour > hours + 12;
    await this.lookAfter(`hour ${hour}`, isLast || this.random.chance(0.85));
  }

  private async passUntil(wallMillis: number): Promise<void> {
    const { clock, batchMillis, hours } = this.options;
    const { beginMillis } = this.traffic;
    for (; this.nextBatchMillis <= wallMillis; this.nextBatchMillis += batchMillis) {
      await clock.advance(Math.max(0, this.nextBatchMillis - clock.wallTime()));
      if (this.nextBatchMillis <= beginMillis + hours * HOUR) this.gather(this.nextBatchMillis - batchMillis);
      await this.archiveDue();
    }
    await clock.advance(Math.max(0, wallMillis - clock.wallTime()));
  }

  /** Some wait for hours, and some are sent once more. */
  private gather(fromMillis: number): void {
    const { random, options } = this;
    const spans = this.traffic.between(fromMillis, fromMillis + options.batchMillis);
    const now = options.clock.wallTime();
    const left = this.traffic.beginMillis + options.hours * HOUR - now;
    const waitMillis = random.chance(0.06) ? Math.min(random.unit() * 8 * HOUR, left) : 0;
    this.due.push({ spans, atMillis: now + waitMillis });
    if (random.chance(0.06)) this.due.push({ spans, atMillis: now + waitMillis + random.unit() * 8 * HOUR });
  }

  private async archiveDue(): Promise<void> {
    const now = this.options.clock.wallTime();
    const due = this.due.filter(({ atMillis }) => atMillis <= now);
    this.due = this.due.filter(({ atMillis }) => atMillis > now);
    for (const { spans } of due) {
      this.hasArchived = true;
      const archive = (kill?: number) =>
        this.options.stores.archive(SpanBatch.fromSpans(spans.map(toReadableSpan)), kill);
      // The next process sends what this one was at.
      if (this.random.chance(0.05) && !(await archive(this.random.unit()))) this.kills++;
      await archive();
      for (const { index } of spans) this.census.archived[index] = 1;
    }
  }

  private async lookAfter(when: string, isFinished: boolean): Promise<void> {
    const { census, random, options } = this;
    if (this.hasArchived) await census.checkNothingLost(`${when}, before`);
    this.hasArchived = false;
    const kills = Math.min(5, 1 + Math.floor(random.exponential(options.kills)));
    for (let left = kills; left > 0; left--) {
      if (!(await this.runLifecycle(random.unit() * 1.1))) continue;
      await census.checkNothingLost(`${when}, killed`);
    }
    if (!isFinished) return;
    await this.runLifecycle();
    await census.checkPlaces(when);
    for (let traces = 0; traces < 3; traces++) await this.checkTrace(when);
  }

  /** Returns whether it was killed. */
  private async runLifecycle(kill?: number): Promise<boolean> {
    const report = await this.options.stores.runLifecycle(kill);
    this.runs++;
    if (!report) {
      this.kills++;
      return true;
    }
    this.moved += report.moved.objects;
    this.deleted += report.deleted.objects;
    const { complete, failed, damaged, foreign, heldBack } = report;
    if (!complete || failed.count + damaged.count + foreign.count > 0) {
      this.census.violate(`lifecycle: ${JSON.stringify({ complete, failed, damaged, foreign, heldBack })}`);
    }
    return false;
  }

  private async checkTrace(when: string): Promise<void> {
    const ended = Math.min(this.traffic.spans.length, this.census.archived.lastIndexOf(1));
    const { traceId } = this.traffic.spans[this.random.integer(0, ended)]!;
    await this.census.checkTrace(when, traceId, this.random.chance(0.8));
  }

  /** Everything is read and looked for once more. */
  private async checkEvening(): Promise<void> {
    const { census } = this;
    census.forget();
    await census.checkPlaces('evening');
    for (let traces = this.options.traces; traces > 0; traces--) await this.checkTrace('evening');
    if (this.options.rehydrates) await this.checkRehydration();
  }

  private async checkRehydration(): Promise<void> {
    const { census, traffic, options } = this;
    const { warm, cold } = options.stores.tiers;
    const sent = new Uint8Array(traffic.spans.length);
    const to = {
      export: (spans: ReadableSpan[], done: (result: { code: number }) => void) => {
        for (const span of spans) sent[indexOfSpan(span)]!++;
        done({ code: 0 });
      },
      shutdown: async () => {},
    };
    const report = await rehydrate({ from: cold ? [warm, cold] : warm, to, spansPerSecond: 10_000_000 });
    if (!report.complete) census.violate(`rehydrate: ${JSON.stringify(report)}`);
    for (const span of traffic.spans) {
      const isThere = census.placeOf(span) !== 'gone';
      if (sent[span.index] !== Number(isThere))
        census.violate(`rehydrate: span ${span.index} ${sent[span.index]} times`);
    }
  }
}
