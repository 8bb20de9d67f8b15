import { type Clock, type ExportError, type SpanBatch, settledBy } from '@otel-resilience/core';
import type { Route, TierName } from '../routing/routing-rules.js';
import type { Appended, Waiting } from '../spooled-tier.js';
import { ArchiveTier, type ArchiveTierStats } from './archive-tier.js';
import type { ArchiveTierSettings } from './archive-tier-options.js';

export interface ArchivesOptions {
  readonly warm: ArchiveTierSettings | undefined;
  readonly cold: ArchiveTierSettings | undefined;
  readonly clock: Clock;
}

/** Left of a shutdown's deadline for the stores, as a share. */
const STORE_SHARE = 0.2;

/** The tiers behind hot, as far as they are given. */
export class Archives {
  private readonly options: ArchivesOptions;
  private readonly tiers: ReadonlyMap<string, ArchiveTier>;

  constructor(options: ArchivesOptions) {
    const { clock } = options;
    this.options = options;
    this.tiers = new Map(
      (['warm', 'cold'] as const).flatMap((name) => {
        const settings = options[name];
        return settings ? [[name, new ArchiveTier(name, settings, clock)] as const] : [];
      }),
    );
  }

  async open(): Promise<void> {
    await Promise.all(this.each((tier) => tier.open()));
  }

  /** Copies for the archives of this route, beside what hot gets. Never throws. */
  copy(route: Route, batch: SpanBatch): void {
    for (const tier of this.of(route)) void tier.take(batch.copy(), 'copied');
  }

  /** The first archive of the route answers for these spans; the others have a copy. Appended before this returns. */
  take(route: Route, batch: SpanBatch): Promise<Appended> {
    const [first, ...others] = this.of(route);
    const taken = first!.take(batch, 'routed');
    for (const tier of others) void tier.take(batch.copy(), 'copied');
    return taken;
  }

  /**
   * What hot was to have, and waits there until it is taken, durably or not: nothing is evicted for it, and nobody has
   * a copy before. Returns how many of the spans are taken.
   */
  async divert(route: Route, batch: SpanBatch, isDurable: boolean): Promise<number> {
    const [first, ...others] = this.of(route);
    if (!first!.canTakeOver(batch, isDurable)) return 0;
    const copy = batch.copy();
    const { stored } = await first!.take(batch, 'diverted');
    if (stored > 0) for (const tier of others) void tier.take(copy.copy(), 'copied');
    return stored;
  }

  /** Whether this archive has, or is going to have, everything that it was given by this process. */
  hasAll(name: TierName, isDurable: boolean): boolean {
    return this.tiers.get(name)?.hasAll(isDurable) === true;
  }

  /** Rejects for the first that cannot be flushed, when all have been. */
  async flush(deadline: number): Promise<void> {
    const flushed = await Promise.allSettled(this.each((tier) => tier.flush(deadline)));
    for (const result of flushed) if (result.status === 'rejected') throw result.reason;
  }

  /** Per tier, what a flush would have to wait for. */
  get waiting(): Waiting[] {
    return [...this.tiers.values()].flatMap((tier) => tier.waiting ?? []);
  }

  /** What waits is archived as soon as it can be. */
  hurry(): void {
    this.each((tier) => tier.hurry());
  }

  /** Resolves when all is archived that can be. */
  drain(): Promise<unknown> {
    return Promise.allSettled(this.each((tier) => tier.drain()));
  }

  halt(reason: ExportError): Promise<unknown> {
    return Promise.all(this.each((tier) => tier.halt(reason)));
  }

  /** Stores last: both tiers may write to the same. */
  async close(deadline: number): Promise<void> {
    const { warm, cold, clock } = this.options;
    const left = Math.max(0, deadline - clock.now());
    const tiersBy = deadline - left * STORE_SHARE;
    await settledBy(clock, tiersBy, Promise.all(this.each((tier) => tier.close(tiersBy))));
    const stores = new Set([warm?.store, cold?.store].filter((store) => store !== undefined));
    await Promise.allSettled([...stores].map((store) => store.shutdown({ deadline })));
  }

  stats(): { readonly warm: ArchiveTierStats | undefined; readonly cold: ArchiveTierStats | undefined } {
    return { warm: this.tiers.get('warm')?.stats(), cold: this.tiers.get('cold')?.stats() };
  }

  private of({ tiers }: Route): ArchiveTier[] {
    return tiers.flatMap((name) => this.tiers.get(name) ?? []);
  }

  private each<T>(call: (tier: ArchiveTier) => T): T[] {
    return [...this.tiers.values()].map(call);
  }
}
