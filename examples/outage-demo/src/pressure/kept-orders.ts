import { spanKey } from '@otel-resilience/testing';
import { RATIOS } from '../level.js';
import type { OrderRecord } from '../processes/shop.js';
import { SLOW_MILLIS } from './scenario.js';

/** The shop's clock stands around the span's own. */
const CLOCK_MARGIN_MILLIS = 5;

/** Why an order has to arrive whatever the sampling ratio. */
export type Promised = 'error' | 'slow' | undefined;

/**
 * Errors always, those in spans below the request's own only where such spans are recorded at all: not for requests that
 * began at `emergency`. Slow ones until `emergency`, which keeps errors only.
 */
export function promisedFor({ error, durationMillis, levelAtStart, levelAtEnd }: OrderRecord): Promised {
  if (error === 'root' || (error === 'child' && levelAtStart !== 'emergency')) return 'error';
  const isSlow = durationMillis > SLOW_MILLIS + CLOCK_MARGIN_MILLIS;
  return isSlow && levelAtEnd !== 'emergency' ? 'slow' : undefined;
}

export interface KeptOrders {
  readonly expected: number;
  /** Of those, the ones of which every span arrived; of requests that began at `emergency`, every span recorded. */
  readonly received: number;
}

export function countKept(
  orders: readonly OrderRecord[],
  promised: Promised,
  receivedKeys: ReadonlySet<string>,
): KeptOrders {
  const expected = orders.filter((order) => promisedFor(order) === promised);
  return { expected: expected.length, received: expected.filter((order) => isComplete(order, receivedKeys)).length };
}

function isComplete({ traceId, spans, levelAtStart }: OrderRecord, receivedKeys: ReadonlySet<string>): boolean {
  return spans.every(({ spanId, recording }, index) => {
    const mayBeLeftOut = levelAtStart === 'emergency' && index > 0 && !recording;
    return mayBeLeftOut || receivedKeys.has(spanKey({ traceId, spanId }));
  });
}

/**
 * The true standard error of an estimate from these orders: of each one that is left to chance, (1 − p) / p² · p. The one
 * that is estimated from a sample is of little use where the sample is a handful.
 */
export function trueStandardError(orders: readonly OrderRecord[]): number {
  let variance = 0;
  for (const order of orders) if (!promisedFor(order)) variance += 1 / RATIOS[order.levelAtStart] - 1;
  return Math.sqrt(variance);
}
