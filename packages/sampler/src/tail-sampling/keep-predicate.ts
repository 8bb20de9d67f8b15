import { isActive, type LevelSource, type ReadableSpan } from '@otel-resilience/core';
import { type CompiledMatcher, compileMatcher } from '../span-matcher.js';
import type { KeepRule } from './options.js';

/** Why a local trace is kept whatever the head has decided, the strongest reason first. */
export const KEEP_REASONS = ['error', 'slow', 'rule'] as const;

export type KeepReason = (typeof KEEP_REASONS)[number];

const STATUS_ERROR = 2;

/**
 * The predicate E: whether a span that has ended is a reason to keep its local trace. It never reads the sampled flag,
 * nor anything that differs between sampled and recorded-only traces: that is what keeps the sample unbiased.
 */
export class KeepPredicate {
  private readonly controller: LevelSource;
  private readonly slowThresholdMillis: number;
  private readonly rules: readonly CompiledMatcher[];

  constructor(options: {
    readonly controller: LevelSource;
    readonly slowThresholdMillis: number;
    readonly keepRules: readonly KeepRule[];
  }) {
    this.controller = options.controller;
    this.slowThresholdMillis = options.slowThresholdMillis;
    this.rules = options.keepRules.map(compileMatcher);
  }

  /** Throws what a span that cannot be read throws. */
  judge(span: ReadableSpan): KeepReason | undefined {
    if (span.status.code === STATUS_ERROR) return 'error';
    const { duration } = span;
    const isSlow = duration[0] * 1_000 + duration[1] / 1_000_000 > this.slowThresholdMillis;
    if (isSlow && !this.errorsOnly) return 'slow';
    for (let i = 0; i < this.rules.length; i++) if (this.rules[i]!.fits(span)) return 'rule';
    return undefined;
  }

  private get errorsOnly(): boolean {
    try {
      return isActive(this.controller, 'errorsOnly');
    } catch {
      return false; // a controller of the user's that throws: better too much than too little
    }
  }
}

/** The stronger of two. */
export function strongerReason(a: KeepReason | undefined, b: KeepReason | undefined): KeepReason | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return KEEP_REASONS.indexOf(a) <= KEEP_REASONS.indexOf(b) ? a : b;
}
