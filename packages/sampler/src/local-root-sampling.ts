import { type Attributes, type SpanContext, TraceFlags, type TraceState } from '@opentelemetry/api';
import type { LimitedLog } from '@otel-resilience/core';
import type { Delegate, Opinion, SamplerArguments } from './delegate.js';
import { markLocalRootOnly } from './local-root-only.js';
import { otOf, rewriteThreshold } from './parent-tracestate.js';
import type { RateCap } from './rate-cap.js';
import type { SamplerCounts } from './sampler-counts.js';
import { samplingHandover } from './sampling-handover.js';
import type { Rate, SamplingPlan } from './sampling-plan.js';
import {
  KEPT,
  NOT_RECORD,
  RECORD,
  RECORD_AND_SAMPLED,
  type SamplingResult,
  samplingResult,
} from './sampling-result.js';
import { higherThreshold, NEVER, ratioOf, traceIdReaches, ZERO } from './threshold.js';
import { type OtValue, parseOt } from './tracestate.js';

interface Parts {
  readonly counts: SamplerCounts;
  readonly log: LimitedLog;
  readonly cap: RateCap | undefined;
  readonly delegate: Delegate | undefined;
  readonly degradeRemoteParents: boolean;
}

/** Decides about the spans a local trace begins with: roots, and those with a remote parent. */
export class LocalRootSampling {
  /** That of the level in force. */
  plan: SamplingPlan;
  private readonly counts: SamplerCounts;
  private readonly log: LimitedLog;
  private readonly cap: RateCap | undefined;
  private readonly delegate: Delegate | undefined;
  private readonly degradeRemoteParents: boolean;

  constructor(plan: SamplingPlan, parts: Parts) {
    this.plan = plan;
    this.counts = parts.counts;
    this.log = parts.log;
    this.cap = parts.cap;
    this.delegate = parts.delegate;
    this.degradeRemoteParents = parts.degradeRemoteParents;
  }

  root(traceId: string, name: string, kind: number, attributes: Attributes): SamplingResult {
    const rate = this.capped(this.plan.roots(name, kind, attributes), name);
    this.cap?.onRoot(name, rate.bound);
    handOver(traceId, '', rate, !rate.keepsAll);
    if (rate.keepsAll || traceIdReaches(traceId, rate.hex)) {
      this.countKept(rate, name, traceId);
      return rate.rootKept;
    }
    if (traceIdReaches(traceId, rate.ruleHex)) this.counts.degraded++;
    return this.drop(rate, undefined);
  }

  remote(parent: SpanContext, traceId: string, name: string, kind: number, attributes: Attributes): SamplingResult {
    const rate = this.capped(this.plan.remotes(name, kind, attributes), name);
    handOver(traceId, parent.spanId, rate, true);
    if ((parent.traceFlags & TraceFlags.SAMPLED) === 0) {
      this.cap?.onRoot(name, 0);
      return this.drop(rate, parent.traceState);
    }
    if (rate.keepsAll || !this.degradeRemoteParents) {
      this.cap?.onRoot(name, this.degradeRemoteParents ? rate.bound : Number.POSITIVE_INFINITY);
      this.countParent(name, traceId);
      return KEPT;
    }
    return this.thin(parent.traceState, rate, traceId, name);
  }

  /** A remote parent has sampled, and we keep less than everything. */
  private thin(state: TraceState | undefined, rate: Rate, traceId: string, name: string): SamplingResult {
    const ot = parseOt(otOf(state));
    // A threshold that the randomness does not reach is not the one by which the parent was kept.
    const known = ot.th !== undefined && reaches(ot, traceId, ot.th) ? ot.th : undefined;
    this.offer(name, rate.bound, known);
    if (reaches(ot, traceId, rate.hex)) {
      this.countKept(rate, name, traceId);
      return this.keep(state, ot, known && higherThreshold(known, rate.hex));
    }
    if (reaches(ot, traceId, rate.ruleHex)) this.counts.degraded++;
    return this.drop(rate, state, rewriteThreshold(state, undefined).traceState);
  }

  /** Of a root, or of a remote parent, where a delegate has been given: it is asked first. */
  delegated(args: SamplerArguments, parent: SpanContext | undefined): SamplingResult {
    const [, traceId, name, kind, attributes] = args;
    const rates = parent ? this.plan.remotes : this.plan.roots;
    const opinion = this.ask(args, parent) ?? opinionOf(parent);
    const state = opinion.traceState ?? parent?.traceState;
    const ot = parseOt(otOf(state));
    const known = thresholdBehind(opinion, ot, traceId);
    const alone = this.capped(rates(name, kind, attributes), name);
    const rate = parent || known === undefined ? alone : behindDelegate(alone, known);
    const own = parent && !this.degradeRemoteParents ? ZERO : rate.hex;
    const nothingRandom = !parent && own === ZERO && opinion.keepsFrom === ZERO && opinion.threshold === ZERO;
    handOver(traceId, parent?.spanId ?? '', rate, !nothingRandom);
    const wanted = reaches(ot, traceId, opinion.keepsFrom);
    if (!wanted) this.cap?.onRoot(name, 0);
    else if (parent && !this.degradeRemoteParents) this.cap?.onRoot(name, Number.POSITIVE_INFINITY);
    else this.offer(name, parent || known === undefined ? rate.bound : rate.bound * ratioOf(known), known);
    if (wanted && reaches(ot, traceId, own)) {
      if (parent && own === ZERO) this.countParent(name, traceId);
      else this.countKept(rate, name, traceId);
      const kept = this.keep(state, ot, known && higherThreshold(known, own));
      return withOpinion(kept, opinion);
    }
    if (wanted && reaches(ot, traceId, rate.ruleHex)) this.counts.degraded++;
    // What the parent has not sampled, its tracestate says nothing about.
    const inherits = opinion.traceState === undefined && parent && (parent.traceFlags & TraceFlags.SAMPLED) === 0;
    const erased = inherits ? undefined : rewriteThreshold(state, undefined).traceState;
    return withOpinion(this.drop(rate, state, erased, opinion.records), opinion);
  }

  /** `undefined`: it threw. */
  ask(args: SamplerArguments, parent: SpanContext | undefined): Opinion | undefined {
    try {
      return this.delegate!.ask(args, parent);
    } catch (thrown) {
      this.counts.failures++;
      this.log.warn('delegate', () => `the delegate threw, so this span is decided without it: ${thrown}`);
      return undefined;
    }
  }

  private capped(rate: Rate, name: string): Rate {
    const { cap } = this;
    if (cap === undefined) return rate;
    const limit = cap.ratioFor ? cap.ratioFor(name) : cap.ratio;
    return limit < rate.ratio ? rate.cappedAt(limit) : rate;
  }

  private offer(name: string, bound: number, known: string | undefined): void {
    if (this.cap === undefined) return;
    const upstream = known === undefined ? 1 : ratioOf(known);
    this.cap.onRoot(name, Math.min(bound, upstream), 1 / upstream);
  }

  private keep(state: TraceState | undefined, ot: OtValue, hex: string | undefined): SamplingResult {
    if (hex === undefined) this.counts.unknown++;
    if (hex !== undefined && hex === ot.th) return KEPT;
    const { traceState, written } = rewriteThreshold(state, hex);
    if (!written) {
      this.counts.unknown++;
      this.counts.notWritten++;
    }
    return traceState ? samplingResult(RECORD_AND_SAMPLED, traceState, undefined) : KEPT;
  }

  /** `rewritten`: its tracestate, when that of the parent must not be inherited. */
  private drop(
    rate: Rate,
    state: TraceState | undefined,
    rewritten?: TraceState,
    recordAnyway = false,
  ): SamplingResult {
    const recorded = recordAnyway || rate.keepErrors !== 'off';
    if (recorded) this.counts.recordOnly++;
    else this.counts.notRecorded++;
    const marks = rate.keepErrors === 'localRoots' && (rewritten ?? state) !== undefined;
    if (!marks && !rewritten && recorded === rate.dropped.decision > NOT_RECORD) return rate.dropped;
    const traceState = marks ? markLocalRootOnly(rewritten ?? state) : rewritten;
    return samplingResult(recorded ? RECORD : NOT_RECORD, traceState, undefined);
  }

  private countKept(rate: Rate, name: string, traceId: string): void {
    this.counts.sampled++;
    if (rate.byRule) this.counts.rule++;
    else this.counts.probabilistic++;
    this.cap?.onSampledSpan(name, traceId);
  }

  private countParent(name: string, traceId: string): void {
    this.counts.sampled++;
    this.counts.parent++;
    this.cap?.onSampledSpan(name, traceId);
  }
}

/**
 * A delegate's ratio is that of its roots, as `ratio` is: the level multiplies it. (A remote parent's is not multiplied,
 * or a trace would become rarer with every service that it goes through.)
 */
function behindDelegate(rate: Rate, known: string): Rate {
  return rate.keepsAll || known === ZERO ? rate : rate.cappedAt(Math.min(rate.ratio, rate.bound * ratioOf(known)));
}

function handOver(traceId: string, parentSpanId: string, { certainty }: Rate, random: boolean): void {
  samplingHandover.traceId = traceId;
  samplingHandover.parentSpanId = parentSpanId;
  samplingHandover.spanId = '';
  samplingHandover.certainty = certainty;
  samplingHandover.holds = random && certainty === 'all';
}

function reaches(ot: OtValue, traceId: string, hex: string): boolean {
  if (hex === ZERO) return true;
  return ot.rv === undefined ? traceIdReaches(traceId, hex) : ot.rv >= hex;
}

function thresholdBehind({ threshold }: Opinion, ot: OtValue, traceId: string): string | undefined {
  if (threshold !== 'fromState') return threshold;
  return ot.th !== undefined && reaches(ot, traceId, ot.th) ? ot.th : undefined;
}

function withOpinion(result: SamplingResult, { attributes, traceState }: Opinion): SamplingResult {
  if (attributes === undefined && (traceState === undefined || result.traceState !== undefined)) return result;
  return samplingResult(result.decision, result.traceState ?? traceState, attributes);
}

/** Where the delegate has none: that of the parent, and nothing that could be counted of a root. */
function opinionOf(parent: SpanContext | undefined): Opinion {
  const sampled = parent === undefined || (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
  return {
    keepsFrom: sampled ? ZERO : NEVER,
    threshold: parent && 'fromState',
    records: false,
    attributes: undefined,
    traceState: undefined,
  };
}
