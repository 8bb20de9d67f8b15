import { type Context, ROOT_CONTEXT, TraceFlags } from '@opentelemetry/api';
import type { DegradationLevel, ReadableSpan, SpanProcessor } from '@otel-resilience/core';
import { DegradationSampler, TailSamplingSpanProcessor } from '@otel-resilience/sampler';
import type { Operation, Service } from './services.js';
import type { SimClock } from './sim-clock.js';
import { PropagatedSpan, propagated, SimSpan, SpanHolder } from './sim-span.js';
import type { LocalRun, SpanRun } from './workload.js';

/** What stands between the SDK and the tail; a mutant puts itself there. */
export type TailWrapper = (tail: TailSamplingSpanProcessor) => SpanProcessor;

/** A process with the real sampler and the real tail, called in the order in which the SDK calls them. */
export class Process {
  readonly controller: { level: DegradationLevel } = { level: 'normal' };
  readonly tail: TailSamplingSpanProcessor;
  private readonly processor: SpanProcessor;
  private readonly service: Service;
  private readonly samplers: readonly DegradationSampler[];
  private ruleSet = 0;
  private spanIds = 0;
  /** By span id, the latest ones: far more than can be open or held. */
  private readonly runs: SpanRun[] = [];

  constructor(
    service: Service,
    clock: SimClock,
    onExport: (run: SpanRun, span: ReadableSpan) => void,
    wrap: TailWrapper,
  ) {
    this.service = service;
    const { controller } = this;
    this.samplers = service.ruleSets.map(
      ({ ratio, rules }) =>
        new DegradationSampler({ ...service.sampler, ratio, rules: Object.values(rules), controller, clock }),
    );
    this.tail = new TailSamplingSpanProcessor({
      ...service.tail,
      next: new Exporting((span) => onExport(this.runOf(span), span)),
      controller,
      clock,
    });
    this.processor = wrap(this.tail);
  }

  /** Another configuration is loaded: a sampler of other rules takes over. */
  nextRules(): void {
    this.ruleSet = (this.ruleSet + 1) % this.samplers.length;
  }

  /** As `Tracer.startSpan` does. */
  start(run: SpanRun): void {
    const { local, operation } = run;
    const context = contextOf(run);
    const probability = run.isLocalRoot ? this.probability(run) : undefined;
    const { decision, traceState } = this.samplers[this.ruleSet]!.shouldSample(
      context.active,
      local.trace.id,
      operation.name,
      operation.kind,
      operation.attributes,
      [],
    );
    this.runs[++this.spanIds % MAX_RUNS] = run;
    const spanContext = {
      traceId: local.trace.id,
      spanId: this.spanIds.toString(16).padStart(16, '0'),
      traceFlags: decision === 2 ? TraceFlags.SAMPLED : TraceFlags.NONE,
      traceState: (traceState ?? context.parent?.traceState) as never,
    };
    if (run.isLocalRoot) {
      local.probability = probability;
      local.keepsFailedRoot = this.keepsFailedRoots(operation);
      local.isRootSampled = decision === 2;
    }
    if (decision === 0) {
      run.span = new PropagatedSpan(spanContext);
      return;
    }
    const span = new SimSpan(run, spanContext, context.parent);
    run.span = span;
    this.processor.onStart(span, context.active);
  }

  end(run: SpanRun): void {
    const { span } = run;
    if (!(span instanceof SimSpan)) return;
    span.end(run.endMillis - run.startMillis, run.failed);
    this.processor.onEnd(span);
  }

  flush(): Promise<void> {
    return this.processor.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.processor.shutdown();
  }

  private runOf(span: ReadableSpan): SpanRun {
    return this.runs[Number.parseInt(span.spanContext().spanId, 16) % MAX_RUNS]!;
  }

  /** What the head's probability is, by the rules of the contract and none of the sampler's code. */
  private probability({ local, operation, parent }: SpanRun): number | undefined {
    const { foreign } = local.trace;
    const upstream = parent ? parent.local.probability : foreign ? foreign.probability : 1;
    const isRemote = parent !== undefined || foreign !== undefined;
    if (upstream === undefined) return undefined;
    if (isRemote && this.service.sampler.degradeRemoteParents === false) return upstream;
    const { ratio, rules } = this.service.ruleSets[this.ruleSet]!;
    const { level } = this.controller;
    const isCritical = this.service.critical.includes(operation.name) && BEFORE_HEAVY.includes(level);
    // The base ratio is for roots; rules are for remote parents, too.
    const bound =
      (rules[operation.name]?.ratio ?? (isRemote ? 1 : ratio)) * (isCritical ? 1 : this.service.levelRatios[level]);
    const delegate = isRemote ? 1 : (this.service.delegateRatio ?? 1);
    const own = Math.min(delegate * bound, this.rateLimit());
    return Math.min(upstream, delegate, written(own, this.service.sampler.precision ?? 4));
  }

  /** While it is remembered what became of a trace, a local root that failed is exported with `th:0`. */
  private keepsFailedRoots({ name }: Operation): boolean {
    const { sampler, tail, ruleSets } = this.service;
    if (tail.maxHeldTraces !== undefined || ruleSets[this.ruleSet]!.rules[name]?.keepErrors === false) return false;
    const { keepErrors } = sampler;
    return (typeof keepErrors === 'object' ? keepErrors[this.controller.level] : keepErrors) !== 'off';
  }

  /** That of the rate target, which only the sampler can know. */
  private rateLimit(): number {
    if (this.service.sampler.targetSpansPerSecond === undefined) return 1;
    return (this.samplers[this.ruleSet] as unknown as { cap: { ratio: number } }).cap.ratio;
  }
}

const MAX_RUNS = 1 << 14;
const BEFORE_HEAVY: readonly DegradationLevel[] = ['normal', 'light', 'moderate'];

/** Hands on what a stock processor exports: spans with the sampled flag. */
class Exporting implements SpanProcessor {
  private readonly onExport: (span: ReadableSpan) => void;

  constructor(onExport: (span: ReadableSpan) => void) {
    this.onExport = onExport;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (span.spanContext().traceFlags & TraceFlags.SAMPLED) this.onExport(span);
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

function contextOf({ parent, isLocalRoot, local }: SpanRun): {
  active: Context;
  parent: ReturnType<SimSpan['spanContext']> | undefined;
} {
  let span: SimSpan | PropagatedSpan | undefined;
  if (parent) span = isLocalRoot ? propagated(parent.span!.spanContext()) : parent.span!;
  else span = foreignSpan(local);
  return span
    ? { active: new SpanHolder(span), parent: span.spanContext() }
    : { active: ROOT_CONTEXT, parent: undefined };
}

const foreignSpan = ({ trace }: LocalRun): PropagatedSpan | undefined => trace.foreign?.span;

/** A probability as far as so many hex digits of its threshold, after leading f's, can say. */
function written(probability: number, precision: number): number {
  let digits = precision;
  for (let rest = probability * 16; rest <= 1; rest *= 16) digits++;
  const scale = 16 ** Math.min(digits, 12);
  return Math.round(probability * scale) / scale;
}
