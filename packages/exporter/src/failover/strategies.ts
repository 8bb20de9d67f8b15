import type { Clock } from '@otel-resilience/core';

export const FAILOVER_STRATEGIES = [
  'priority',
  'roundRobin',
  'weighted',
  'random',
  'fastest',
  'leastInFlight',
] as const;

export type FailoverStrategy = (typeof FAILOVER_STRATEGIES)[number];

/** What a strategy may know of an endpoint. */
export interface Rankable {
  readonly priority: number;
  readonly weight: number;
  readonly inFlight: number;
  /** Moving average of latency in milliseconds; `undefined` before the first answer. */
  readonly ewmaMillis: number | undefined;
  /** By `clock.now()`; `undefined` before the first attempt. */
  readonly lastAttemptAt: number | undefined;
  /** Number of the latest attempt among those of all endpoints; 0 before the first. */
  readonly lastTurn: number;
}

/** Puts endpoints into the order in which one call asks them. */
export type RankEndpoints = <E extends Rankable>(endpoints: readonly E[]) => E[];

export function createStrategy(
  strategy: FailoverStrategy,
  { clock, random = Math.random }: { clock: Clock; random?: () => number },
): RankEndpoints {
  switch (strategy) {
    case 'priority':
      return (endpoints) => rankBy(endpoints, ({ priority }) => priority);
    case 'roundRobin':
      return roundRobin();
    case 'weighted':
      // Exponential arrival times: each place is won in proportion to the weights of those still in the race.
      return (endpoints) => rankBy(endpoints, ({ weight }) => -Math.log(1 - random()) / weight);
    case 'random':
      return (endpoints) => rankBy(endpoints, () => random());
    case 'fastest':
      return (endpoints) => rankBy(endpoints, (endpoint) => expectedLatency(endpoint, clock.now()));
    case 'leastInFlight':
      // Among equals the one that has waited longest, or an idle pipeline would only ever use the first.
      return (endpoints) => endpoints.slice().sort((a, b) => a.inFlight - b.inFlight || a.lastTurn - b.lastTurn);
  }
}

/**
 * The last resort's own order: whoever has waited longest, looked up anew at each step, so that calls which overlap
 * (each may hang for a whole attempt) spread over the endpoints instead of following one another.
 */
export function* leastRecentlyAttempted<E extends Rankable>(endpoints: readonly E[]): Generator<E> {
  const left = new Set(endpoints);
  while (left.size > 0) {
    let next: E | undefined;
    for (const endpoint of left) if (!next || endpoint.lastTurn < next.lastTurn) next = endpoint;
    left.delete(next!);
    yield next!;
  }
}

function roundRobin(): RankEndpoints {
  let turn = 0;
  return (endpoints) => {
    if (endpoints.length === 0) return [];
    const first = turn++ % endpoints.length;
    return [...endpoints.slice(first), ...endpoints.slice(0, first)];
  };
}

/** After this time without an attempt an average counts for 1/e of itself. */
const FADING_MILLIS = 10_000;

/**
 * An average that nobody renews fades, or an endpoint that was slow once would never be measured again. Only the one
 * attempt that renews it is attracted: from its start the average counts in full.
 */
function expectedLatency({ ewmaMillis, lastAttemptAt }: Rankable, now: number): number {
  if (lastAttemptAt === undefined) return 0;
  if (ewmaMillis === undefined) return Number.MAX_VALUE;
  return ewmaMillis * Math.exp((lastAttemptAt - now) / FADING_MILLIS);
}

/** Lowest first; equals keep their order. */
function rankBy<E extends Rankable>(endpoints: readonly E[], keyOf: (endpoint: E) => number): E[] {
  const keys = new Map(endpoints.map((endpoint) => [endpoint, keyOf(endpoint)]));
  return endpoints.slice().sort((a, b) => keys.get(a)! - keys.get(b)!);
}
