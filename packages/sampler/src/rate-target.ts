import type { Clock } from '@otel-resilience/core';
import type { RateCap } from './rate-cap.js';
import { RateFlow } from './rate-flow.js';

export interface RateTargetOptions {
  /** Spans/s that the sampler samples; spans that are kept for an error later come on top. */
  readonly targetSpansPerSecond: number;
  /** `service`: the target is for all spans of this process; `operation`: for the local traces of every root span name. */
  readonly targetPer: 'service' | 'operation';
  /** The ratio never goes below this. Default 0.01. */
  readonly minRatio?: number;
  /** Operations with a ratio of their own; the others share one, and one target. Default 100. */
  readonly maxOperations?: number;
  readonly clock: Clock;
}

/**
 * The cap behind `targetSpansPerSecond`. See {@link RateFlow} for the rule; it is adjusted by the decisions themselves,
 * at most once per second and at the first decision after that, so there is no timer and nothing to shut down.
 */
export class RateTarget implements RateCap {
  readonly ratioFor?: (operation: string) => number;

  private readonly options: Required<RateTargetOptions>;
  /** All spans, or the operations that have no flow of their own. */
  private readonly shared: RateFlow;
  private readonly flows = new Map<string, RateFlow>();
  private readonly traces = new RecentTraces();
  private evictedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RateTargetOptions) {
    this.options = { minRatio: 0.01, maxOperations: 100, ...options };
    this.shared = new RateFlow({ ...this.options, seesAllSpans: options.targetPer === 'service' });
    if (options.targetPer === 'operation') this.ratioFor = (operation) => this.flowOf(operation).ratio;
  }

  /** Of the service, or of the operations that have none of their own. */
  get ratio(): number {
    return this.shared.ratio;
  }

  onRoot(operation: string, bound = 1, weight = 1): void {
    (this.ratioFor ? this.admit(operation) : this.shared).offer(bound, weight);
  }

  onSampledSpan(operation?: string, traceId?: string): void {
    if (!this.ratioFor) {
      if (operation === undefined) this.shared.countSampledChild();
      else this.shared.countSampledRoot();
    } else if (operation === undefined) {
      this.traces.flowOf(traceId)?.countSampledChild();
    } else {
      const flow = this.flowOf(operation);
      flow.countSampledRoot();
      if (traceId !== undefined) this.traces.remember(traceId, flow);
    }
  }

  onUnsampledChild(): void {
    // Whose it is, is not remembered for traces that are not sampled.
    if (!this.ratioFor) this.shared.countUnsampledChild();
  }

  private flowOf(operation: string): RateFlow {
    return this.flows.get(operation) ?? this.shared;
  }

  private admit(operation: string): RateFlow {
    const known = this.flows.get(operation);
    if (known) return known;
    if (this.flows.size >= this.options.maxOperations && !this.evictIdle()) return this.shared;
    const flow = new RateFlow({ ...this.options, seesAllSpans: false });
    this.flows.set(operation, flow);
    return flow;
  }

  /** Makes room for a new operation where the least recent one has been idle; tried now and then only, names being many. */
  private evictIdle(): boolean {
    const seen = this.shared.lastSeen;
    if (Number.isNaN(seen) || seen - this.evictedAt < EVICTION_MILLIS) return false;
    this.evictedAt = seen;
    let oldest: string | undefined;
    let oldestSeen = seen - IDLE_MILLIS;
    for (const [operation, { lastSeen }] of this.flows) {
      if (lastSeen >= oldestSeen) continue;
      oldest = operation;
      oldestSeen = lastSeen;
    }
    return oldest !== undefined && this.flows.delete(oldest);
  }
}

const EVICTION_MILLIS = 1_000;
const IDLE_MILLIS = 60_000;

/** Which flow a sampled trace belongs to. Two generations: the older half is forgotten at once. */
class RecentTraces {
  private young = new Map<string, RateFlow>();
  private old = new Map<string, RateFlow>();

  remember(traceId: string, flow: RateFlow): void {
    if (this.young.size >= TRACES_PER_GENERATION) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(traceId, flow);
  }

  flowOf(traceId: string | undefined): RateFlow | undefined {
    return traceId === undefined ? undefined : (this.young.get(traceId) ?? this.old.get(traceId));
  }
}

const TRACES_PER_GENERATION = 4_096;
