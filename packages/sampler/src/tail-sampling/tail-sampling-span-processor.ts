import type { Context, SpanContext } from '@opentelemetry/api';
import {
  type Clock,
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  type Instruments,
  type LevelSource,
  LimitedLog,
  type ReadableSpan,
  type SpanProcessor,
  startLevelSource,
} from '@otel-resilience/core';
import { type SamplingCertainty, samplingHandover, takeHandover } from '../sampling-handover.js';
import { heldSpanBytes } from './held-span-bytes.js';
import { type EarlyReason, HeldTraces } from './held-traces.js';
import { KeepPredicate, type KeepReason, strongerReason } from './keep-predicate.js';
import { LocalTrace, type LocalTraceState } from './local-trace.js';
import { LocalTraces } from './local-traces.js';
import { NextProcessor } from './next-processor.js';
import { OWNER, readTailSamplingOptions, type TailSamplingSpanProcessorOptions } from './options.js';
import { isSampled, keptSpan, uncountedSpan } from './promoted-span.js';
import { ReleaseBacklog } from './release-backlog.js';
import { tailSamplingInstruments } from './tail-sampling-instruments.js';
import { TailSamplingCounts, type TailSamplingStats } from './tail-sampling-stats.js';

/**
 * Keeps local traces with an error or a slow span whatever the head has decided, without making the sample uncountable.
 *
 * While the sampler's rate is below 1, sampled and recorded-only local traces are held alike until their local root
 * ends. With an error, a slow span, or one that fits a keep rule, the whole trace goes to `next` with threshold 0: it
 * stands for itself alone. Otherwise the head's decision stands. Limits decide the oldest trace early, alike for both,
 * and spans that end later follow. Needs a `DegradationSampler`, which says what this process records for certain.
 */
export class TailSamplingSpanProcessor implements SpanProcessor {
  /** Only if the next processor has it: the SDK looks. */
  readonly onEnding?: (span: object) => void;
  private readonly controller: LevelSource;
  private readonly next: NextProcessor;
  private readonly backlog: ReleaseBacklog;
  private readonly clock: Clock;
  private readonly predicate: KeepPredicate;
  private readonly traces: LocalTraces;
  private readonly held: HeldTraces;
  private readonly limits: { readonly maxTraces: number; readonly maxBytes: number };
  private readonly counts = new TailSamplingCounts();
  private readonly log: LimitedLog;
  private readonly instruments: Instruments;
  private phase: 'idle' | 'running' | 'stopped' = 'idle';
  /** Whether what is decided goes to the backlog, not to `next`. */
  private isGathering = false;
  private shutdownPromise: Promise<void> | undefined;

  constructor(options: TailSamplingSpanProcessorOptions) {
    const settings = readTailSamplingOptions(options);
    const { next, controller, clock, maxHoldMillis } = settings;
    this.controller = controller;
    this.clock = clock;
    this.log = new LimitedLog(OWNER, { clock });
    this.next = new NextProcessor(next, clock, this.log);
    if (this.next.hasOnEnding) this.onEnding = (span) => this.next.onEnding(span);
    this.backlog = new ReleaseBacklog(this.next, clock);
    this.predicate = new KeepPredicate(settings);
    this.traces = new LocalTraces(settings.maxHeldTraces);
    this.limits = { maxTraces: settings.maxHeldTraces, maxBytes: settings.maxHeldBytes };
    const decideEarly = (trace: LocalTrace, reason: EarlyReason) => this.decideEarly(trace, reason);
    this.held = new HeldTraces({ ...this.limits, maxHoldMillis, clock, decideEarly });
    this.instruments = tailSamplingInstruments(() => this.stats(), settings.metrics);
  }

  onStart(span: object, parentContext: Context): void {
    if (this.phase === 'idle') this.start();
    try {
      this.begin(span as StartedSpan);
    } catch (error) {
      this.log.warn('unreadable', () => `a span could not be read at its start: ${error}`);
    }
    this.next.onStart(span, parentContext);
  }

  /** Never throws. */
  onEnd(span: ReadableSpan): void {
    let context: SpanContext;
    let trace: LocalTrace | undefined;
    try {
      context = span.spanContext();
      trace = this.traces.find(context.traceId, context.spanId);
    } catch (error) {
      this.log.warn('unreadable', () => `a span could not be read: ${error}`);
      this.counts.ended++;
      this.counts.unreadable++;
      this.next.onEnd(span);
      return;
    }
    if (trace === undefined) this.endUncertain(span, context);
    else if (trace.state === 'held') this.endHeld(trace, span, context);
    else this.endDecided(trace, span, context);
  }

  stats(): TailSamplingStats {
    const { traces, spans, bytes } = this.held;
    return this.counts.snapshot({ traces, spans, bytes, ...this.limits }, this.next.failures);
  }

  /** Decides what is held early, so that `next` can export it. Rejects when `next` does. */
  async forceFlush(options?: DeadlineOptions): Promise<void> {
    this.instruments.refresh();
    this.decideAll('flush');
    const until = options?.deadline ?? this.clock.now() + DEFAULT_FLUSH_TIMEOUT_MILLIS;
    const drained = this.backlog.drain(until, options);
    await drained.catch(() => {});
    await this.next.forceFlush(until, options);
    await drained;
  }

  /** Decides what is held early. Spans that end later are handed on, for `next` to count as dropped. */
  shutdown(options?: DeadlineOptions): Promise<void> {
    this.shutdownPromise ??= this.stop(options);
    return this.shutdownPromise;
  }

  private async stop(options?: DeadlineOptions): Promise<void> {
    this.phase = 'stopped';
    this.decideAll('shutdown');
    this.instruments.shutdown();
    const now = this.clock.now();
    // Half of the time: the next processor has to flush once more, and to shut its exporter down.
    const until = (now + (options?.deadline ?? now + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS)) / 2;
    await this.backlog.drain(until, { deadline: until }).catch(() => {});
    await this.next.shutdown(options);
  }

  private start(): void {
    this.phase = 'running';
    this.instruments.refresh();
    startLevelSource(this.controller, (error) =>
      this.log.warn('controller', () => `the controller could not be started: ${error}`),
    );
  }

  /** A local root that is certain is held. What else must be known of it, is remembered. */
  private begin(span: StartedSpan): void {
    const parent = span.parentSpanContext;
    if (parent !== undefined && parent.isRemote !== true) {
      const isCertain = samplingHandover.childOf === parent.spanId;
      if (isCertain && !this.traces.needsChildren) return;
      const { traceId, spanId } = span.spanContext();
      if (isCertain) this.traces.addChild(traceId, spanId, parent.spanId);
      else this.traces.setApart(traceId, spanId);
      return;
    }
    const { traceId, spanId } = span.spanContext();
    if (!takeHandover(traceId, parent?.spanId ?? '', spanId) || this.phase === 'stopped') return;
    const { certainty, holds } = samplingHandover;
    if (certainty === 'all' && !holds) return;
    const trace = new LocalTrace(traceId, spanId, STATE_AT_START[certainty]);
    this.traces.add(trace);
    if (certainty === 'all') this.held.add(trace);
    else this.traces.remember(trace);
  }

  private endHeld(trace: LocalTrace, span: ReadableSpan, context: SpanContext): void {
    if (trace.reason !== 'error') trace.reason = strongerReason(trace.reason, this.judge(span));
    if (context.spanId === trace.rootSpanId) {
      this.decide(trace);
      this.handOn(span, context, trace.reason);
    } else if (this.held.hold(trace, span, heldSpanBytes(span))) {
      this.counts.ended++;
      this.next.hold();
    } else {
      this.endDecided(trace, span, context);
    }
  }

  /** A late span, or one of a local trace that is not held. */
  private endDecided(trace: LocalTrace, span: ReadableSpan, context: SpanContext): void {
    this.traces.spanEnded(trace, context.spanId);
    if (trace.state === 'kept' || trace.state === 'notKept') {
      this.counts.late++;
      this.handOn(span, context, trace.reason ?? this.judge(span));
    } else if (trace.state === 'judgedAlone' && context.spanId === trace.rootSpanId) {
      const reason = this.judge(span);
      if (reason !== undefined) this.counts.keptTraces[reason]++;
      this.traces.forget(trace);
      this.handOn(span, context, reason);
    } else {
      this.endUncertain(span, context);
    }
  }

  /** Of a local trace that this process did not record for certain: it cannot be promoted to stand for itself alone. */
  private endUncertain(span: ReadableSpan, context: SpanContext): void {
    if (isSampled(context) || this.judge(span) === undefined) {
      this.handOn(span, context, undefined);
      return;
    }
    this.counts.ended++;
    this.counts.uncounted++;
    this.next.onEnd(this.viewed(span, uncountedSpan));
  }

  private decideAll(reason: EarlyReason): void {
    this.isGathering = true;
    this.held.decideAll(reason);
    this.isGathering = false;
  }

  private decideEarly(trace: LocalTrace, reason: EarlyReason): void {
    this.counts.earlyDecisions[reason]++;
    this.decide(trace);
  }

  /** held → kept | notKept, with what is known by now. */
  private decide(trace: LocalTrace): void {
    const spans = this.held.take(trace);
    const { reason } = trace;
    trace.state = reason === undefined ? 'notKept' : 'kept';
    this.traces.spansEnded(trace, spans);
    this.traces.remember(trace);
    this.instruments.refresh();
    if (reason !== undefined) this.releaseKept(spans, reason);
    else this.releaseSampled(spans);
  }

  // Counts come first: what happens to a released span may end others, or look at our stats.
  private releaseKept(spans: readonly ReadableSpan[], reason: KeepReason): void {
    this.counts.keptTraces[reason]++;
    this.counts.kept[reason] += spans.length;
    for (const span of spans) {
      if (!isSampledSpan(span)) this.counts.promoted++;
      this.release(this.viewed(span, keptSpan));
    }
  }

  private releaseSampled(spans: readonly ReadableSpan[]): void {
    if (spans.length === 0) return;
    const sampled = spans.filter(isSampledSpan);
    this.counts.passed += sampled.length;
    this.counts.unsampled += spans.length - sampled.length;
    this.next.discard(spans.length - sampled.length);
    for (const span of sampled) this.release(span);
  }

  private release(span: ReadableSpan): void {
    if (this.isGathering) this.backlog.add(span);
    else this.next.release(span);
  }

  /** A span that was not held: kept for this reason, or as the head has decided. */
  private handOn(span: ReadableSpan, context: SpanContext, reason: KeepReason | undefined): void {
    this.counts.ended++;
    if (reason !== undefined) {
      this.counts.kept[reason]++;
      if (!isSampled(context)) this.counts.promoted++;
      this.next.onEnd(this.viewed(span, keptSpan));
      return;
    }
    if (isSampled(context)) this.counts.passed++;
    else this.counts.unsampled++;
    this.next.onEnd(span);
  }

  private judge(span: ReadableSpan): KeepReason | undefined {
    try {
      return this.predicate.judge(span);
    } catch (error) {
      this.log.warn('unreadable', () => `a span could not be judged: ${error}`);
      return undefined;
    }
  }

  private viewed(span: ReadableSpan, view: (span: ReadableSpan) => ReadableSpan): ReadableSpan {
    try {
      return view(span);
    } catch (error) {
      this.log.warn('unreadable', () => `a span could not be promoted: ${error}`);
      return span;
    }
  }
}

/** What a span of the SDK shows at its start. */
interface StartedSpan {
  spanContext(): SpanContext;
  readonly parentSpanContext?: SpanContext;
}

const STATE_AT_START: Readonly<Record<SamplingCertainty, LocalTraceState>> = {
  all: 'held',
  localRoot: 'judgedAlone',
  none: 'uncertain',
};

function isSampledSpan(span: ReadableSpan): boolean {
  try {
    return isSampled(span.spanContext());
  } catch {
    return false;
  }
}
