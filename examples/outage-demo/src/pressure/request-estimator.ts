import { type SpanOutline, spanKey } from '@otel-resilience/testing';
import { adjustedCount } from './adjusted-count.js';

export interface Estimate {
  /** How many requests there were. */
  readonly requests: number;
  /** Of that, estimated from the sample too. */
  readonly standardError: number;
  /** How many were received, and so counted from. */
  readonly sample: number;
  /** Requests received that do not tell their sampling probability: not part of the estimate. */
  readonly unknown: number;
}

const IS_REMOTE = 0x200;

/**
 * Counts requests from those that were sampled, as a backend would: a request is a local root span, and each one
 * received stands for its adjusted count (Horvitz and Thompson, 1952). It knows nothing but what came over the wire.
 */
export class RequestEstimator {
  private readonly seen = new Set<string>();
  /** By trace: requests of one trace are sampled together, so their counts are not independent. */
  private readonly counts = new Map<string, number[]>();
  private unknown = 0;

  /** Takes any span, each one as often as it arrived. */
  add(span: SpanOutline): void {
    if (span.parentSpanId !== '' && (span.flags & IS_REMOTE) === 0) return;
    const key = spanKey(span);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    const count = adjustedCount(span.traceState);
    if (count === undefined) {
      this.unknown++;
      return;
    }
    const ofTrace = this.counts.get(span.traceId);
    if (ofTrace) ofTrace.push(count);
    else this.counts.set(span.traceId, [count]);
  }

  estimate(): Estimate {
    let requests = 0;
    let variance = 0;
    let sample = 0;
    for (const counts of this.counts.values()) {
      requests += sum(counts);
      variance += varianceOf(counts);
      sample += counts.length;
    }
    return { requests, standardError: Math.sqrt(variance), sample, unknown: this.unknown };
  }
}

export function estimateRequests(spans: Iterable<SpanOutline>): Estimate {
  const estimator = new RequestEstimator();
  for (const span of spans) estimator.add(span);
  return estimator.estimate();
}

/**
 * What the requests of one trace add to the variance: over all pairs 1/(p·q) − 1/r, where r is the probability that both
 * are kept. Sampling is consistent: whoever is kept at the lower probability is kept at the higher one, so r = min(p, q).
 */
function varianceOf(counts: readonly number[]): number {
  const total = sum(counts);
  const descending = counts.toSorted((a, b) => b - a);
  const joint = sum(descending.map((count, index) => count * (2 * (counts.length - index) - 1)));
  return Math.max(0, total * total - joint);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
