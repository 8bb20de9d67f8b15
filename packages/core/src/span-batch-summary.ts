import type { HrTime } from '@opentelemetry/api';
import { LANES, type Lane, laneOf } from './lane.js';
import type { ReadableSpan } from './sdk-types.js';

/** What routing and budgets need to know of a span; available without decoding it. */
export interface SpanHead {
  readonly traceId: string;
  readonly spanId: string;
  readonly lane: Lane;
  /** `service.name` of the resource, or '' when it has none. */
  readonly service: string;
  /** Milliseconds since the Unix epoch. */
  readonly startMillis: number;
  readonly endMillis: number;
}

/** What a batch holds, known without decoding it. */
export interface SpanBatchSummary {
  /** The most valuable lane present: a batch with one error is a batch of errors. */
  readonly lane: Lane;
  /** Spans per lane. */
  readonly lanes: Readonly<Record<Lane, number>>;
  /** Spans per `service.name`. */
  readonly services: ReadonlyMap<string, number>;
  /** Earliest start and latest end, in milliseconds since the Unix epoch; both 0 for an empty batch. */
  readonly startMillis: number;
  readonly endMillis: number;
}

export function spanHead(span: ReadableSpan): SpanHead {
  const service = span.resource?.asyncAttributesPending ? undefined : span.resource?.attributes?.['service.name'];
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    lane: laneOf(span),
    service: typeof service === 'string' ? service : '',
    startMillis: toMillis(span.startTime),
    endMillis: toMillis(span.endTime),
  };
}

export function summarize(heads: Iterable<SpanHead>): SpanBatchSummary {
  const lanes: Record<Lane, number> = { errors: 0, localRoots: 0, rest: 0 };
  const services = new Map<string, number>();
  let startMillis = Number.POSITIVE_INFINITY;
  let endMillis = Number.NEGATIVE_INFINITY;
  for (const head of heads) {
    lanes[head.lane]++;
    services.set(head.service, (services.get(head.service) ?? 0) + 1);
    if (head.startMillis < startMillis) startMillis = head.startMillis;
    if (head.endMillis > endMillis) endMillis = head.endMillis;
  }
  return {
    lane: bestLane(lanes),
    lanes,
    services,
    startMillis: Number.isFinite(startMillis) ? startMillis : 0,
    endMillis: Number.isFinite(endMillis) ? endMillis : 0,
  };
}

/** The summary of several batches in one. */
export function mergeSummaries(summaries: readonly SpanBatchSummary[]): SpanBatchSummary {
  const lanes: Record<Lane, number> = { errors: 0, localRoots: 0, rest: 0 };
  const services = new Map<string, number>();
  const filled = summaries.filter((summary) => summaryCount(summary) > 0);
  for (const summary of filled) {
    for (const lane of LANES) lanes[lane] += summary.lanes[lane];
    for (const [service, spans] of summary.services) services.set(service, (services.get(service) ?? 0) + spans);
  }
  return {
    lane: bestLane(lanes),
    lanes,
    services,
    startMillis: filled.length > 0 ? Math.min(...filled.map(({ startMillis }) => startMillis)) : 0,
    endMillis: filled.length > 0 ? Math.max(...filled.map(({ endMillis }) => endMillis)) : 0,
  };
}

export const bestLane = (lanes: Readonly<Record<Lane, number>>): Lane =>
  lanes.errors > 0 ? 'errors' : lanes.localRoots > 0 ? 'localRoots' : 'rest';

export function summaryCount({ lanes }: SpanBatchSummary): number {
  return lanes.errors + lanes.localRoots + lanes.rest;
}

const toMillis = ([seconds, nanos]: HrTime): number => seconds * 1000 + nanos / 1e6;
