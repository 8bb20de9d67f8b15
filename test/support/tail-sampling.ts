import { type Context, createTraceState, ROOT_CONTEXT, type SpanContext, TraceFlags } from '@opentelemetry/api';
import { HELD_SPANS, type HeldSpans, Ledger, type ReadableSpan, type SpanProcessor } from '@otel-resilience/core';
import { TailSamplingSpanProcessor, type TailSamplingSpanProcessorOptions } from '@otel-resilience/sampler';
import { type FakeSpanOverrides, fakeSpan, VirtualClock } from '@otel-resilience/testing';
import type { SamplingCertainty } from '../../packages/sampler/src/sampling-handover.js';

// What the sampler leaves for the tail; through the global, as the two formats of the package share it.
const handover = () =>
  (globalThis as Record<symbol, unknown>)[Symbol.for('otel-resilience.sampling-handover')] as {
    traceId: string;
    parentSpanId: string;
    spanId: string;
    certainty: SamplingCertainty;
    holds: boolean;
    childOf: string;
  };

export interface RootOptions {
  readonly traceId?: string;
  /** Of another process. */
  readonly remoteParentId?: string;
  readonly certainty?: SamplingCertainty | 'unknown';
  readonly holds?: boolean;
  readonly sampled?: boolean;
  /** Default: that of a ratio of 0.5 where it is sampled, none where it is not. */
  readonly traceState?: string;
}

/** A process that starts and ends spans as the SDK does, with what the sampler would have said of them. */
export class TracedProcess {
  private readonly processor: SpanProcessor;
  private ids = 0;

  constructor(processor: SpanProcessor) {
    this.processor = processor;
  }

  root(options: RootOptions = {}): StartedSpan {
    const { traceId = this.id(32), remoteParentId, certainty = 'all', holds = certainty === 'all' } = options;
    const { sampled = false, traceState = sampled ? 'ot=th:8' : undefined } = options;
    if (certainty !== 'unknown')
      Object.assign(handover(), { traceId, parentSpanId: remoteParentId ?? '', spanId: '', certainty, holds });
    const parent = remoteParentId && { traceId, spanId: remoteParentId, traceFlags: 0, isRemote: true };
    const state = traceState === undefined ? undefined : createTraceState(traceState);
    return this.start(
      { traceId, spanId: this.id(16), traceFlags: flags(sampled), traceState: state },
      parent || undefined,
    );
  }

  child(of: StartedSpan, { sampled }: { sampled?: boolean } = {}): StartedSpan {
    const parent = of.spanContext();
    handover().childOf = parent.spanId;
    const traceFlags = sampled === undefined ? parent.traceFlags : flags(sampled);
    return this.start({ ...parent, spanId: this.id(16), traceFlags }, parent);
  }

  /** Ends it as fast as not to be slow; returns what the processor was given. */
  end(span: StartedSpan, overrides: FakeSpanOverrides = {}): ReadableSpan {
    const context = span.spanContext();
    const { parentSpanContext } = span;
    const ended = fakeSpan({ spanContext: () => context, parentSpanContext, ...overrides } as FakeSpanOverrides);
    this.processor.onEnd(ended);
    return ended;
  }

  private start(context: SpanContext, parentSpanContext: SpanContext | undefined): StartedSpan {
    const span = { spanContext: () => context, parentSpanContext };
    this.processor.onStart(span, ROOT_CONTEXT);
    return span;
  }

  private id(digits: number): string {
    return (++this.ids).toString(16).padStart(digits, '0');
  }
}

export interface StartedSpan {
  spanContext(): SpanContext;
  readonly parentSpanContext?: SpanContext;
}

const flags = (sampled: boolean): number => (sampled ? TraceFlags.SAMPLED : TraceFlags.NONE);

/** The processor behind: takes what comes, as a stock one does. */
export class RecordingProcessor implements SpanProcessor {
  readonly started: object[] = [];
  readonly ended: ReadableSpan[] = [];
  readonly calls: string[] = [];
  phase: 'running' | 'stopped' = 'running';

  onStart(span: object, _: Context): void {
    this.started.push(span);
  }

  onEnd(span: ReadableSpan): void {
    this.ended.push(span);
  }

  async forceFlush(...args: unknown[]): Promise<void> {
    this.calls.push(`forceFlush ${JSON.stringify(args)}`);
  }

  async shutdown(...args: unknown[]): Promise<void> {
    this.phase = 'stopped';
    this.calls.push(`shutdown ${JSON.stringify(args)}`);
  }

  /** Those that a stock processor would export. */
  get exported(): ReadableSpan[] {
    return this.ended.filter((span) => span.spanContext().traceFlags & TraceFlags.SAMPLED);
  }
}

/** One that keeps a ledger, as our own do. */
export class LedgerProcessor extends RecordingProcessor {
  readonly ledger = new Ledger();

  readonly [HELD_SPANS]: HeldSpans = {
    hold: () => this.ledger.endHeld(),
    discard: (spans) => this.ledger.releaseUnsampled(spans),
    release: (span) => {
      this.ledger.releaseQueued(1);
      if (this.phase === 'stopped') this.ledger.dropQueued(1, 'shutdown');
      this.ended.push(span);
    },
  };

  override onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) this.ledger.endUnsampled();
    else if (this.phase === 'stopped') this.ledger.endDropped('shutdown');
    else this.ledger.endQueued();
    this.ended.push(span);
  }
}

/** A tail sampler on a virtual clock, between a process and a processor that keeps a ledger. */
export function tailSampling<N extends SpanProcessor = LedgerProcessor>(
  options: Partial<TailSamplingSpanProcessorOptions> = {},
  next: N = new LedgerProcessor() as never,
) {
  const clock = new VirtualClock();
  const tail = new TailSamplingSpanProcessor({ next, clock, metrics: false, ...options });
  return { clock, tail, next, process: new TracedProcess(tail) };
}

/** `name th` of each span, `-` without a threshold. */
export function exportedAs(spans: readonly ReadableSpan[]): string[] {
  return spans.map((span) => `${span.name} ${thresholdOf(span)}`);
}

export function thresholdOf(span: ReadableSpan): string {
  const ot = span.spanContext().traceState?.get('ot') ?? '';
  return (
    ot
      .split(';')
      .find((member) => member.startsWith('th:'))
      ?.slice(3) ?? '-'
  );
}
