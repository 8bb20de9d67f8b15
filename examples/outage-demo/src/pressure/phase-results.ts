import type { SpanOutline } from '@otel-resilience/testing';
import { highest, type Level, rankOf } from '../level.js';
import type { OrderRecord } from '../processes/shop.js';
import { countKept, type KeptOrders, trueStandardError } from './kept-orders.js';
import { type Estimate, estimateRequests } from './request-estimator.js';
import type { Phase } from './scenario.js';
import type { Transition } from './transition.js';

/** A phase as it was played. */
export interface PlayedPhase {
  readonly phase: Phase;
  /** Wall time. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** The highest level that each trigger asked for. */
  readonly asked: Readonly<Record<string, Level>>;
  /** The lowest sampling ratio in force. */
  readonly lowestRatio: number;
  /** Whether its level was reached in time. */
  readonly reached: boolean;
}

/** Requests as they were, and as the backend would count them. */
export interface Counted {
  readonly requests: number;
  readonly estimate: Estimate;
  /** Of that estimate, from what is known of all the requests. */
  readonly trueStandardError: number;
  readonly errors: KeptOrders;
  readonly slow: KeptOrders;
}

export interface PhaseResult extends PlayedPhase, Counted {
  /** The level it began with, and every one after that. */
  readonly levels: readonly Level[];
  readonly highest: Level;
  readonly transitions: readonly Transition[];
  /** From its beginning to the first rise; `undefined` when there was none. */
  readonly riseMillis: number | undefined;
}

export interface Evidence {
  readonly orders: readonly OrderRecord[];
  readonly transitions: readonly Transition[];
  readonly outlines: readonly SpanOutline[];
  readonly receivedKeys: ReadonlySet<string>;
}

/** What happened in each phase; an order belongs to the one in which it began. */
export function phaseResults(played: readonly PlayedPhase[], evidence: Evidence): PhaseResult[] {
  const phaseAt = (time: number) => played.findLast(({ startedAt }) => startedAt <= time) ?? played[0]!;
  const phaseOfTrace = new Map(evidence.orders.map(({ traceId, startedAt }) => [traceId, phaseAt(startedAt)]));
  return played.map((phase) => {
    const isHere = ({ traceId }: { readonly traceId: string }) => phaseOfTrace.get(traceId) === phase;
    const transitions = evidence.transitions.filter(({ time }) => phaseAt(time) === phase);
    const before = evidence.transitions.findLast(({ time }) => time < phase.startedAt);
    const levels = [before?.to ?? 'normal', ...transitions.map(({ to }) => to)];
    const rise = transitions.find(({ from, to }) => rankOf(to) > rankOf(from));
    return {
      ...phase,
      ...count(evidence.orders.filter(isHere), evidence.outlines.filter(isHere), evidence.receivedKeys),
      levels,
      highest: highest(levels),
      transitions,
      riseMillis: rise && rise.time - phase.startedAt,
    };
  });
}

export function count(
  orders: readonly OrderRecord[],
  outlines: readonly SpanOutline[],
  receivedKeys: ReadonlySet<string>,
): Counted {
  return {
    requests: orders.length,
    estimate: estimateRequests(outlines),
    trueStandardError: trueStandardError(orders),
    errors: countKept(orders, 'error', receivedKeys),
    slow: countKept(orders, 'slow', receivedKeys),
  };
}
