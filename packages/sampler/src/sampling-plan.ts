import { type DegradationLevel, rankOf } from '@otel-resilience/core';
import type { KeepErrors, ReadSamplerOptions } from './sampler-options.js';
import type { SamplingCertainty } from './sampling-handover.js';
import {
  KEPT,
  LOCAL_ROOT_RECORDED,
  NOT_RECORDED,
  RECORDED,
  rootKeptWith,
  type SamplingResult,
} from './sampling-result.js';
import { type CompiledMatcher, compileMatcher, type SpanMatcher } from './span-matcher.js';
import { thresholdOf, ZERO } from './threshold.js';

/** What becomes of the local roots that one rule is for, at one level: all of it ready to be returned. */
export interface Rate {
  /** The ratio in force: that of the threshold as it is written. */
  readonly ratio: number;
  /** Rule × level, whatever the rate target allows. */
  readonly bound: number;
  readonly hex: string;
  readonly keepsAll: boolean;
  /** The threshold of the rule alone. What lies between the two is degraded. */
  readonly ruleHex: string;
  readonly byRule: boolean;
  readonly keepErrors: KeepErrors;
  readonly certainty: SamplingCertainty;
  readonly rootKept: SamplingResult;
  /** Of a root; of a remote parent's child, when its tracestate need not change. */
  readonly dropped: SamplingResult;
  /** The same, of a rate target that allows less. */
  cappedAt(ratio: number): Rate;
}

/** The rate of a local root, by its name, kind and attributes at its start. */
export type RateTable = (name: string, kind: number, attributes: Readonly<Record<string, unknown>>) => Rate;

/** The rates at one level. */
export interface SamplingPlan {
  /** Of roots. */
  readonly roots: RateTable;
  /** Of spans with a remote parent. The base ratio is not for them: their trace has been through that at its root. */
  readonly remotes: RateTable;
  /** Of a root that no rule is for. */
  readonly base: Rate;
  readonly keepErrors: KeepErrors;
}

/** Which strategies are in force. */
export interface PlanFlags {
  readonly reduceSamplingRate: boolean;
  readonly disableNonCritical: boolean;
}

/** Everything that can be known before a span: for this service, at this level. */
export function samplingPlan(
  options: ReadSamplerOptions,
  service: string | undefined,
  level: DegradationLevel,
  flags: PlanFlags,
): SamplingPlan {
  const keepErrors = options.keepErrors[level];
  const factor = flags.reduceSamplingRate ? options.ratios[level] : 1;
  const critical = flags.disableNonCritical && rankOf(level) <= rankOf(options.criticalUntil);
  const isCriticalService = critical && service !== undefined && options.criticalServices.includes(service);
  const forService = options.rules
    .map((rule) => ({ rule, matcher: compileMatcher(rule) }))
    .filter(({ matcher }) => matcher.fitsService(service));
  const matchers = forService.map(({ matcher }) => matcher);
  const tablesAt = (levelFactor: number) => {
    const rate = (ratio: number, byRule: boolean, errors: KeepErrors) =>
      makeRate({ ruleRatio: ratio, factor: levelFactor, byRule, keepErrors: errors, precision: options.precision });
    const rules = forService.map(({ rule }) => rate(rule.ratio, true, rule.keepErrors ? keepErrors : 'off'));
    const base = rate(options.ratio, false, keepErrors);
    return { base, roots: table(matchers, rules, base), remotes: table(matchers, rules, rate(1, false, keepErrors)) };
  };
  const tables = tablesAt(isCriticalService ? 1 : factor);
  const { criticalRoutes } = options;
  if (!critical || factor === 1 || isCriticalService || criticalRoutes === undefined) return { ...tables, keepErrors };
  const isCritical = compileMatcher({ route: criticalRoutes } satisfies SpanMatcher);
  const ofCritical = tablesAt(1);
  const either =
    (critical: RateTable, other: RateTable): RateTable =>
    (name, kind, attributes) =>
      (isCritical.fitsStart(name, kind, attributes) ? critical : other)(name, kind, attributes);
  return {
    base: tables.base,
    roots: either(ofCritical.roots, tables.roots),
    remotes: either(ofCritical.remotes, tables.remotes),
    keepErrors,
  };
}

function table(matchers: readonly CompiledMatcher[], rules: readonly Rate[], base: Rate): RateTable {
  if (matchers.length === 0) return () => base;
  return (name, kind, attributes) => {
    for (let i = 0; i < matchers.length; i++) if (matchers[i]!.fitsStart(name, kind, attributes)) return rules[i]!;
    return base;
  };
}

interface RateOptions {
  readonly ruleRatio: number;
  readonly factor: number;
  readonly byRule: boolean;
  readonly keepErrors: KeepErrors;
  readonly precision: number;
}

const CERTAINTY = { all: 'all', localRoots: 'localRoot', off: 'none' } as const;
const DROPPED = { all: RECORDED, localRoots: LOCAL_ROOT_RECORDED, off: NOT_RECORDED } as const;
/** A rate target has about 100 values; one that has more must not fill the memory. */
const MAX_CAPPED = 1_000;

function makeRate(options: RateOptions, cap = 1): Rate {
  const { ruleRatio, factor, byRule, keepErrors, precision } = options;
  const { hex, th, ratio } = thresholdOf(Math.min(ruleRatio * factor, cap), precision);
  const capped = new Map<number, Rate>();
  return {
    ratio,
    bound: ruleRatio * factor,
    hex,
    keepsAll: hex === ZERO,
    ruleHex: thresholdOf(ruleRatio, precision).hex,
    byRule,
    keepErrors,
    certainty: CERTAINTY[keepErrors],
    rootKept: th === undefined ? KEPT : rootKeptWith(th),
    dropped: DROPPED[keepErrors],
    cappedAt(limit) {
      let rate = capped.get(limit);
      if (rate === undefined) {
        rate = makeRate(options, limit);
        if (capped.size >= MAX_CAPPED) capped.clear();
        capped.set(limit, rate);
      }
      return rate;
    },
  };
}
