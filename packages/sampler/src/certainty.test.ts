import { type Context, context, ROOT_CONTEXT, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import { DegradationSampler } from './degradation-sampler.js';
import { TailSamplingSpanProcessor } from './tail-sampling/tail-sampling-span-processor.js';

afterEach(() => context.disable());

const TRACES = 4_000;
const EVERY = 10;

const atModerate = (): Sampler => new DegradationSampler({ controller: { level: 'moderate' }, metrics: false });

function tailSampling() {
  const exporter = new InMemorySpanExporter();
  const tail = new TailSamplingSpanProcessor({ next: new SimpleSpanProcessor(exporter), metrics: false });
  return { tail, exported: () => exporter.getFinishedSpans() };
}

/** One child in ten fails, in a context that `contextOf` makes of its parent. */
function run(tracer: ReturnType<BasicTracerProvider['getTracer']>, contextOf: (parent: Span) => Context): void {
  for (let i = 0; i < TRACES; i++) {
    const root = tracer.startSpan('root', {}, ROOT_CONTEXT);
    const child = tracer.startSpan('child', {}, contextOf(root));
    const grandchild = tracer.startSpan('grandchild', {}, trace.setSpan(ROOT_CONTEXT, child));
    if (i % EVERY === 0) grandchild.setStatus({ code: SpanStatusCode.ERROR });
    for (const span of [grandchild, child, root]) span.end();
  }
}

const failed = (spans: readonly ReadableSpan[]) => spans.filter(({ status }) => status.code === SpanStatusCode.ERROR);

function estimate(spans: readonly ReadableSpan[]): number {
  return spans.reduce((sum, span) => {
    const th = /th:([0-9a-f]+)/.exec(span.spanContext().traceState?.get('ot') ?? '')![1]!;
    return sum + 1 / (1 - Number.parseInt(th.padEnd(14, '0'), 16) / 2 ** 56);
  }, 0);
}

describe('errors in what unsampled traces do not record can be counted', () => {
  const asItIs = (parent: Span) => trace.setSpan(ROOT_CONTEXT, parent);
  const asContext = (parent: Span) => trace.setSpanContext(ROOT_CONTEXT, parent.spanContext());

  it.each([
    ['whose parent is given as a mere span context', atModerate(), asContext],
    ['that a ParentBased sampler decides about', new ParentBasedSampler({ root: atModerate() }), asItIs],
  ])('children %s', (_, sampler, contextOf) => {
    const { tail, exported } = tailSampling();
    run(new BasicTracerProvider({ sampler, spanProcessors: [tail] }).getTracer('test'), contextOf);
    // 5 standard errors of a tenth of 400, and of 4,000.
    expect(Math.abs(estimate(failed(exported())) - TRACES / EVERY)).toBeLessThan(5 * 10 * Math.sqrt(40));
    expect(Math.abs(estimate(exported()) - 3 * TRACES)).toBeLessThan(5 * 3 * 10 * Math.sqrt(400));
    expect(tail.stats()).toMatchObject({ kept: { error: 0 }, balanced: true });
  });
});

it('two tails behind one sampler keep the same', () => {
  const [one, other] = [tailSampling(), tailSampling()];
  const provider = new BasicTracerProvider({ sampler: atModerate(), spanProcessors: [one.tail, other.tail] });
  run(provider.getTracer('test'), (parent) => trace.setSpan(ROOT_CONTEXT, parent));
  expect(failed(one.exported())).toHaveLength(TRACES / EVERY);
  expect(other.exported()).toHaveLength(one.exported().length);
  expect(other.tail.stats()).toEqual(one.tail.stats());
});

it('a child that starts after its parent has ended is as certain as others', () => {
  const { tail, exported } = tailSampling();
  const tracer = new BasicTracerProvider({ sampler: atModerate(), spanProcessors: [tail] }).getTracer('test');
  for (let i = 0; i < 100; i++) {
    const root = tracer.startSpan('root', {}, ROOT_CONTEXT);
    root.end();
    tracer.startSpan('late', {}, trace.setSpan(ROOT_CONTEXT, root)).setStatus({ code: SpanStatusCode.ERROR }).end();
  }
  expect(failed(exported())).toHaveLength(100);
  expect(estimate(failed(exported()))).toBe(100);
});
