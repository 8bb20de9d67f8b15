import {
  boolean,
  ConfigurationError,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  LANES,
  type Lane,
  list,
  millis,
  type OptionReader,
  oneOf,
  optional,
  readOptions,
  type TextPattern,
  textPattern,
} from '@otel-resilience/core';

export const TIER_NAMES = ['hot', 'warm', 'cold'] as const;

export type TierName = (typeof TIER_NAMES)[number];

/**
 * Where spans go that fit everything given here; the first rule that fits decides. Without conditions: all.
 *
 *     { error: true, to: ['hot', 'warm'] }, { service: 'batch-*', to: 'warm' }, { minAgeMillis: 3_600_000, to: 'warm' }
 */
export interface RoutingRule {
  /** Of the resource's `service.name`; `*` stands for any characters. A span without one fits `*` alone. */
  readonly service?: TextPattern;
  /** One or several of `errors`, `localRoots` and `rest`. */
  readonly lane?: Lane | readonly Lane[];
  /** Whether the span's status is an error. */
  readonly error?: boolean;
  /** From this level of degradation on. Needs a `controller`. */
  readonly fromLevel?: DegradationLevel;
  /** Spans that ended at least so long ago, in milliseconds. */
  readonly minAgeMillis?: number;
  /** Where they go. With `hot`, the others have a copy; without, the first one in the order hot, warm, cold answers for them. */
  readonly to: TierName | readonly TierName[];
}

/** Some of the tiers, in their order; there is one object for each set of them. */
export interface Route {
  readonly tiers: readonly TierName[];
  readonly hot: boolean;
}

export interface ReadRule extends Omit<RoutingRule, 'lane' | 'to'> {
  readonly lanes: readonly Lane[];
  readonly route: Route;
}

const ROUTES = new Map<string, Route>();

export function routeTo(tiers: readonly TierName[]): Route {
  const ordered = TIER_NAMES.filter((name) => tiers.includes(name));
  const key = ordered.join();
  let route = ROUTES.get(key);
  if (!route) {
    route = Object.freeze({ tiers: Object.freeze(ordered), hot: ordered.includes('hot') });
    ROUTES.set(key, route);
  }
  return route;
}

const oneOrSome =
  <T extends string>(names: readonly T[]): OptionReader<readonly T[]> =>
  (value, path) => {
    if (Array.isArray(value)) return list(oneOf(names), { min: 1 })(value, path);
    return [oneOf(names)(value, path)];
  };

const SCHEMA = {
  service: optional(textPattern),
  lane: optional(oneOrSome(LANES)),
  error: optional(boolean({ default: true })),
  fromLevel: optional(oneOf(DEGRADATION_LEVELS)),
  minAgeMillis: optional(millis({ default: 0 })),
  to: oneOrSome(TIER_NAMES),
};

/** Reads one rule. Whether the tiers it names are there is for who knows them: {@link checkRules}. */
export const aRoutingRule: OptionReader<ReadRule> = (value, path) => {
  const { lane = LANES, to, ...rule } = readOptions(path, value, SCHEMA);
  return { ...rule, lanes: lane, route: routeTo(to) };
};

/** @throws ConfigurationError for a rule that cannot be obeyed, or a tier that nothing goes to. */
export function checkRules(
  rules: readonly ReadRule[],
  given: { readonly warm: boolean; readonly cold: boolean; readonly controller: boolean },
  owner: string,
): void {
  for (const [index, { route, fromLevel }] of rules.entries()) {
    for (const name of ['warm', 'cold'] as const) {
      if (route.tiers.includes(name) && !given[name]) {
        throw new ConfigurationError(`${owner}.rules[${index}].to`, `tiers that are given: there is no ${name}`, name);
      }
    }
    if (fromLevel !== undefined && !given.controller) {
      throw new ConfigurationError(`${owner}.rules[${index}].fromLevel`, 'a controller beside it', fromLevel);
    }
  }
  if (given.cold && !rules.some(({ route }) => route.tiers.includes('cold'))) {
    throw new ConfigurationError(`${owner}.cold`, 'a rule that names it: nothing goes there otherwise', 'none');
  }
}
