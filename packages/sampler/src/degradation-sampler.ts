import {
  type Attributes,
  type Context,
  isSpanContextValid,
  type Link,
  type Span,
  type SpanContext,
  type SpanKind,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import {
  DEGRADATION_LEVELS,
  type DegradationLevel,
  type DegradationStrategy,
  type Instruments,
  isActive,
  type LevelSource,
  LimitedLog,
  startLevelSource,
} from '@otel-resilience/core';
import { type Delegate, delegateOf, describe, type SamplerArguments } from './delegate.js';
import { isLocalRootOnly } from './local-root-only.js';
import { LocalRootSampling } from './local-root-sampling.js';
import type { RateCap } from './rate-cap.js';
import { RateTarget } from './rate-target.js';
import { noCounts, type SamplerCounts, samplerInstruments } from './sampler-counts.js';
import { type DegradationSamplerOptions, type ReadSamplerOptions, readSamplerOptions } from './sampler-options.js';
import { samplingHandover } from './sampling-handover.js';
import { type SamplingPlan, samplingPlan } from './sampling-plan.js';
import { KEPT, NOT_RECORDED, RECORDED, type SamplingResult, samplingResult } from './sampling-result.js';
import { serviceNameOf } from './service-name.js';
import { ZERO } from './threshold.js';

/** What {@link DegradationSampler.stats} shows; counts since construction. */
export interface SamplerStats extends Readonly<SamplerCounts> {
  readonly level: DegradationLevel;
  /** In force for local roots that no rule is for: ratio × level, at most what the rate target allows. */
  readonly ratio: number;
}

/**
 * Samples less the higher the level, and so that it can still be counted: consistent probability sampling. A local
 * root is kept when its trace's randomness reaches a threshold, which stands in its tracestate as `ot=th:…`.
 *
 *     new DegradationSampler({ controller, rules: [{ route: '/health*', ratio: 0.01 }] })
 *
 * - Roots: ratio of the first rule that fits × that of the level, at most what `targetSpansPerSecond` allows.
 * - Remote parents that were sampled: kept at the lower of their ratio and ours. When ours is 1 their flag decides, and
 *   their tracestate is not even read. A threshold is written when it is known, erased when not, and never lowered.
 * - Local parents are followed.
 * - What is not sampled is still recorded (`keepErrors`), so that a `TailSamplingSpanProcessor` can keep the errors.
 *
 * `shouldSample` never throws, and where nothing has to be rewritten it allocates nothing.
 */
export class DegradationSampler {
  private readonly options: ReadSamplerOptions;
  private readonly controller: LevelSource;
  private readonly delegate: Delegate | undefined;
  private readonly cap: RateCap | undefined;
  private readonly counts = noCounts();
  private readonly instruments: Instruments;
  private readonly log: LimitedLog;
  private readonly localRoots: LocalRootSampling;
  private service: string | undefined;
  private level: DegradationLevel | undefined;
  private plans = new Map<string, SamplingPlan>();

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: DegradationSamplerOptions = {}) {
    const read = readSamplerOptions(options);
    this.options = read;
    this.controller = read.controller;
    this.delegate = read.delegate && delegateOf(read.delegate);
    const { targetSpansPerSecond, targetPer, clock } = read;
    if (targetSpansPerSecond !== undefined) this.cap = new RateTarget({ targetSpansPerSecond, targetPer, clock });
    this.instruments = samplerInstruments(this.counts, () => this.stats().ratio, { enabled: read.metrics });
    this.log = new LimitedLog(this.instruments.componentName, { clock });
    this.service = serviceNameOf(read, (service) => this.become(service));
    this.localRoots = new LocalRootSampling(this.planAt('normal'), {
      counts: this.counts,
      log: this.log,
      cap: this.cap,
      delegate: this.delegate,
      degradeRemoteParents: read.degradeRemoteParents === 'consistent',
    });
  }

  shouldSample(
    context: Context,
    traceId: string,
    spanName: string,
    spanKind: SpanKind,
    attributes: Attributes,
    links: Link[],
  ): SamplingResult {
    try {
      const level = this.readLevel();
      if (level !== this.level) this.follow(level);
      const parent = trace.getSpan(context);
      const parentContext = parent && validContextOf(parent, traceId);
      if (parentContext === undefined || parentContext.isRemote) {
        if (this.delegate) {
          const args: SamplerArguments = [context, traceId, spanName, spanKind, attributes, links];
          return this.localRoots.delegated(args, parentContext);
        }
        return parentContext === undefined
          ? this.localRoots.root(traceId, spanName, spanKind, attributes)
          : this.localRoots.remote(parentContext, traceId, spanName, spanKind, attributes);
      }
      const isParentRecorded = isRecorded(parent!);
      samplingHandover.childOf = isParentRecorded ? parentContext.spanId : '';
      if ((parentContext.traceFlags & TraceFlags.SAMPLED) === 0) {
        return this.unsampledChild(isParentRecorded, parentContext);
      }
      if (this.delegate?.sampler === undefined) return this.sampledChild(traceId);
      return this.delegatedChild([context, traceId, spanName, spanKind, attributes, links]);
    } catch (thrown) {
      return this.withoutSense(context, thrown);
    }
  }

  toString(): string {
    const { ratio, rules, delegate } = this.options;
    return `DegradationSampler{ratio=${ratio}, rules=${rules.length}${delegate ? `, delegate=${describe(delegate)}` : ''}}`;
  }

  /** Counts so far, and what is in force for the next root. */
  stats(): SamplerStats {
    const level = known(this.readLevel());
    const limit = this.cap && !this.cap.ratioFor ? this.cap.ratio : 1;
    return { ...this.counts, level, ratio: Math.min(this.planAt(level).base.ratio, limit) };
  }

  /** Takes its metrics away. The SDK has no such call for samplers: it is for who makes and leaves several. */
  shutdown(): void {
    this.instruments.shutdown();
  }

  private sampledChild(traceId: string): SamplingResult {
    this.counts.sampled++;
    this.counts.parent++;
    this.cap?.onSampledSpan(undefined, traceId);
    return KEPT;
  }

  private unsampledChild(isParentRecorded: boolean, { traceState }: SpanContext): SamplingResult {
    this.cap?.onUnsampledChild?.();
    if (isParentRecorded && !isLocalRootOnly(traceState)) {
      this.counts.recordOnly++;
      return RECORDED;
    }
    this.counts.notRecorded++;
    return NOT_RECORDED;
  }

  /** The parent is sampled: the delegate may leave out a child. No level applies, or a trace would have holes. */
  private delegatedChild(args: SamplerArguments): SamplingResult {
    const traceId = args[1];
    const opinion = this.localRoots.ask(args, undefined);
    if (opinion === undefined) return this.sampledChild(traceId);
    const { attributes, traceState } = opinion;
    const as = (plain: SamplingResult) =>
      attributes || traceState ? samplingResult(plain.decision, traceState, attributes) : plain;
    if (opinion.keepsFrom === ZERO) return as(this.sampledChild(traceId));
    this.cap?.onUnsampledChild?.();
    if (opinion.records || this.localRoots.plan.keepErrors === 'all') {
      this.counts.recordOnly++;
      return as(RECORDED);
    }
    this.counts.notRecorded++;
    return as(NOT_RECORDED);
  }

  /** Once per change of the level, and at the first span. */
  private follow(level: DegradationLevel): void {
    if (this.level === undefined) {
      this.instruments.refresh();
      startLevelSource(this.controller, (thrown) => this.controllerFailed('start', thrown));
    }
    this.level = level;
    if (known(level) !== level) {
      this.counts.failures++;
      this.log.warn('level', () => `the controller's level is unknown, so it counts as normal: ${level}`);
    }
    this.localRoots.plan = this.planAt(known(level));
  }

  private become(service: string): void {
    this.service = service;
    this.plans.clear();
    this.localRoots.plan = this.planAt(this.level ?? 'normal');
  }

  private planAt(level: DegradationLevel): SamplingPlan {
    const flags = {
      reduceSamplingRate: this.isActive('reduceSamplingRate', level),
      disableNonCritical: this.isActive('disableNonCritical', level),
    };
    const key = `${level} ${flags.reduceSamplingRate} ${flags.disableNonCritical}`;
    let plan = this.plans.get(key);
    if (!plan) {
      plan = samplingPlan(this.options, this.service, level, flags);
      this.plans.set(key, plan);
    }
    return plan;
  }

  /** The controller may be a user's own. When it throws, what was in force stays so. */
  private readLevel(): DegradationLevel {
    try {
      return this.controller.level;
    } catch (thrown) {
      this.controllerFailed('level', thrown);
      return this.level ?? 'normal';
    }
  }

  private isActive(strategy: DegradationStrategy, level: DegradationLevel): boolean {
    try {
      const said: unknown = this.controller.isActive?.(strategy);
      if (typeof said === 'boolean') return said;
    } catch (thrown) {
      this.controllerFailed('isActive', thrown);
    }
    return isActive({ level }, strategy);
  }

  private controllerFailed(what: string, thrown: unknown): void {
    this.counts.failures++;
    this.log.warn(what, () => `${what} of the controller failed: ${thrown}`);
  }

  /** Nothing may throw into `startSpan`: whatever it was, the parent's flag is followed, and a root is sampled. */
  private withoutSense(context: Context, thrown: unknown): SamplingResult {
    samplingHandover.traceId = '';
    samplingHandover.childOf = '';
    this.counts.failures++;
    this.log.warn('decision', () => `a decision failed: ${thrown}`);
    let flags: number | undefined;
    try {
      flags = trace.getSpanContext(context)?.traceFlags;
    } catch {
      // No parent that could be asked.
    }
    const sampled = flags === undefined || (flags & TraceFlags.SAMPLED) !== 0;
    if (sampled) this.counts.sampled++;
    else this.counts.notRecorded++;
    return sampled ? KEPT : NOT_RECORDED;
  }
}

/** What is no level counts as normal. */
const known = (level: DegradationLevel): DegradationLevel => (DEGRADATION_LEVELS.includes(level) ? level : 'normal');

/**
 * The parent's span context, if it is one. The SDK has looked already: it gives a span the trace id of its parent, or
 * a new one when the parent's context is not valid.
 */
function validContextOf(parent: Span, traceId: string): SpanContext | undefined {
  const context = parent.spanContext();
  return context.traceId === traceId || isSpanContextValid(context) ? context : undefined;
}

/**
 * One that has ended records no longer, but it did. A mere span context in its place (`trace.setSpanContext`) does not
 * say: an unsampled parent may have been recorded or not.
 */
function isRecorded(parent: Span): boolean {
  return parent.isRecording?.() === true || (parent as { readonly ended?: boolean }).ended === true;
}
