import { EARLY_REASONS, type EarlyReason } from './held-traces.js';
import { KEEP_REASONS, type KeepReason } from './keep-predicate.js';

/** What a `TailSamplingSpanProcessor` holds, and what it made of every span. */
export interface TailSamplingStats {
  readonly held: {
    readonly traces: number;
    readonly spans: number;
    readonly bytes: number;
    readonly maxTraces: number;
    readonly maxBytes: number;
  };
  /** Spans that have ended: `held.spans` and the five below add up to it. */
  readonly ended: number;
  /** Spans handed on with threshold 0, by the reason of their local trace. */
  readonly kept: Readonly<Record<KeepReason, number>>;
  /** Spans that the head had sampled, handed on as they are. */
  readonly passed: number;
  /** Spans worth keeping of which nobody knows for how many they stand: handed on without a threshold. */
  readonly uncounted: number;
  /** Spans that neither the head nor the tail keeps. */
  readonly unsampled: number;
  /** Spans that threw when they were read, handed on as they are. */
  readonly unreadable: number;
  /** Whether the identity holds. False is a bug of ours, and never hidden. */
  readonly balanced: boolean;
  /** Of the kept spans, those that the head had not sampled. */
  readonly promoted: number;
  /** Local traces kept by the tail, by reason. */
  readonly keptTraces: Readonly<Record<KeepReason, number>>;
  /** Local traces decided before their local root had ended. */
  readonly earlyDecisions: Readonly<Record<EarlyReason, number>>;
  /** Spans that ended after their local trace had been decided. */
  readonly late: number;
  /** How often the next processor threw. */
  readonly nextFailures: number;
}

/** The counts behind {@link TailSamplingStats}. */
export class TailSamplingCounts {
  ended = 0;
  passed = 0;
  uncounted = 0;
  unsampled = 0;
  unreadable = 0;
  promoted = 0;
  late = 0;
  readonly kept = zeros(KEEP_REASONS);
  readonly keptTraces = zeros(KEEP_REASONS);
  readonly earlyDecisions = zeros(EARLY_REASONS);

  snapshot(held: TailSamplingStats['held'], nextFailures: number): TailSamplingStats {
    const { ended, passed, uncounted, unsampled, unreadable, promoted, late } = this;
    const kept = { ...this.kept };
    const states = [held.spans, ...Object.values(kept), passed, uncounted, unsampled, unreadable];
    return {
      held,
      ended,
      kept,
      passed,
      uncounted,
      unsampled,
      unreadable,
      balanced: ended === states.reduce((sum, count) => sum + count, 0) && states.every((count) => count >= 0),
      promoted,
      keptTraces: { ...this.keptTraces },
      earlyDecisions: { ...this.earlyDecisions },
      late,
      nextFailures,
    };
  }
}

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
