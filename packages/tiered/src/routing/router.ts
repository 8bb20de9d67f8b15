import {
  type Clock,
  LANES,
  type Lane,
  type LevelSource,
  patternTest,
  rankOf,
  type SpanBatch,
  type SpanHead,
} from '@otel-resilience/core';
import { type ReadRule, type Route, routeTo, TIER_NAMES, type TierName } from './routing-rules.js';

export interface RouterOptions {
  readonly rules: readonly ReadRule[];
  /** For spans that no rule fits. */
  readonly otherwise: Route;
  readonly controller: LevelSource;
  readonly clock: Clock;
}

/** What a rule may ask about a span. */
interface Routed {
  readonly lane: Lane;
  readonly service: string;
  readonly ageMillis: number;
}

interface CompiledRule {
  readonly route: Route;
  /** Whether it may say something else of the same span later. */
  readonly changes: boolean;
  readonly minAgeMillis: number | undefined;
  /** Without what changes. */
  fitsFor(lane: Lane, service: string): boolean;
  /** What changes. */
  fitsNow(ageMillis: number): boolean;
}

/** Says where spans go, by the first rule that fits. Batches of which all goes the same way are not looked into. */
export class Router {
  private readonly options: RouterOptions;
  private readonly rules: readonly CompiledRule[];
  private readonly diverts: boolean;

  constructor(options: RouterOptions) {
    this.options = options;
    this.rules = options.rules.map((rule) => compile(rule, options.controller));
    const changes = this.rules.some((rule) => rule.changes);
    this.diverts = changes && [options.otherwise, ...this.rules.map(({ route }) => route)].some(({ hot }) => !hot);
  }

  /** The spans of a batch that has just come, by their routes. A batch that cannot be read goes where no rule fits. */
  split(batch: SpanBatch): ReadonlyMap<Route, SpanBatch> {
    const { clock, otherwise } = this.options;
    if (this.rules.length === 0) return new Map([[otherwise, batch]]);
    const now = clock.wallTime();
    try {
      const route = this.commonRoute(batch, now);
      return route ? new Map([[route, batch]]) : batch.partition((head) => this.routeOf(routed(head, now)));
    } catch {
      return new Map([[otherwise, batch]]);
    }
  }

  /**
   * Spans that were to go to hot, and by now are not: by the tiers that have to take them, which may be none where
   * they have been copied to all of those when they came, and `keepsCopies` of each. `undefined`: all of them go to hot.
   */
  diverted(
    batch: SpanBatch,
    keepsCopies: (tier: TierName) => boolean = () => true,
  ): ReadonlyMap<Route, SpanBatch> | undefined {
    if (!this.diverts) return undefined;
    try {
      return this.divertedNow(batch, this.options.clock.wallTime(), keepsCopies);
    } catch {
      return undefined;
    }
  }

  private divertedNow(
    batch: SpanBatch,
    now: number,
    keepsCopies: (tier: TierName) => boolean,
  ): ReadonlyMap<Route, SpanBatch> | undefined {
    const keeping = TIER_NAMES.filter(keepsCopies);
    if (this.commonRoute(batch, now)?.hot) return undefined;
    const parts = batch.partition((head) => {
      const { tiers, hot } = this.routeOf(routed(head, now));
      return hot ? HOT : routeTo(tiers.filter((tier) => !keeping.includes(tier) || !this.wasCopied(tier, head)));
    });
    return parts.size === 1 && parts.has(HOT) ? undefined : parts;
  }

  private routeOf({ lane, service, ageMillis }: Routed): Route {
    const rule = this.rules.find((each) => each.fitsFor(lane, service) && each.fitsNow(ageMillis));
    return rule?.route ?? this.options.otherwise;
  }

  /** That of all spans, where the summary is enough to know. */
  private commonRoute(batch: SpanBatch, now: number): Route | undefined {
    const { lanes, services, startMillis, endMillis } = batch.summary;
    const youngest = now - endMillis;
    const oldest = now - startMillis;
    const isBetween = (age: number | undefined) => age !== undefined && age > youngest && age <= oldest;
    if (this.rules.some(({ minAgeMillis }) => isBetween(minAgeMillis))) return undefined;
    let common: Route | undefined;
    for (const lane of LANES) {
      if (lanes[lane] === 0) continue;
      for (const service of services.keys()) {
        const route = this.routeOf({ lane, service, ageMillis: oldest });
        common ??= route;
        if (route !== common) return undefined;
      }
    }
    return common;
  }

  /** Whether this tier got a copy when the span came, whatever its age and the level were then. */
  private wasCopied(tier: TierName, { lane, service }: SpanHead): boolean {
    for (const { route, changes, fitsFor } of this.rules) {
      if (!fitsFor(lane, service)) continue;
      // One without hot did not apply then, or the span would not be here.
      if (route.hot && !route.tiers.includes(tier)) return false;
      if (!changes) return route.hot;
    }
    return this.options.otherwise.tiers.includes(tier);
  }
}

/** Stays with hot, in what {@link Router.diverted} returns. */
export const HOT: Route = routeTo(['hot']);

const routed = ({ lane, service, endMillis }: SpanHead, now: number): Routed => ({
  lane,
  service,
  ageMillis: now - endMillis,
});

function compile({ service, lanes, error, fromLevel, minAgeMillis, route }: ReadRule, controller: LevelSource) {
  const isService = service === undefined ? () => true : patternTest(service);
  const isLane = (lane: Lane) => lanes.includes(lane) && (error === undefined || (lane === 'errors') === error);
  const rank = fromLevel === undefined ? 0 : rankOf(fromLevel);
  return {
    route,
    changes: rank > 0 || minAgeMillis !== undefined,
    minAgeMillis,
    fitsFor: (lane: Lane, name: string) => isLane(lane) && isService(name),
    fitsNow: (ageMillis: number) =>
      (rank === 0 || rankOf(controller.level) >= rank) && (minAgeMillis === undefined || ageMillis >= minAgeMillis),
  } satisfies CompiledRule;
}
