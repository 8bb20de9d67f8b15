// The claim: a root is decided at least four times as fast as by the SDK's TraceIdRatioBasedSampler and by
// sampler-composite's probability sampler, at every ratio; a remote parent is followed no slower than by ParentBased.
//
// - `vs…`: stock ÷ ours; the headline is the lowest of the four ratios, whose own figures are `…At<ratio>`. Both stock
//   samplers stand alone, without the ParentBased that an application puts around them; ours minds parents anyway.
// - `vsParentBasedRemote`: a parent that was sampled elsewhere, tracestate and all, where nothing thins it.
// - `remoteParse…`: the level thins what a remote parent has sampled at th:8, so its tracestate is read and rewritten.
// - `recordOnlyRatio`: a span that is only recorded ÷ one that is not, from start to end through the SDK's tracer; what
//   `keepErrors: 'all'` costs.
// - `evaluate…`, `evaluation…`: what the controller takes; see evaluation-cost.mjs.
// Every contender has a loop of its own, compiled for it, since an application has one sampler only.
import { createTraceState, ROOT_CONTEXT, SpanKind, TraceFlags, trace } from '@opentelemetry/api';
import { TraceState } from '@opentelemetry/core';
import {
  createComposableParentThresholdSampler,
  createComposableProbabilitySampler,
  createCompositeSampler,
} from '@opentelemetry/sampler-composite';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  ParentBasedSampler,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { DegradationSampler } from '@otel-resilience/sampler';
import { evaluationCost } from './evaluation-cost.mjs';
import { allocatedBytes, interleave, median, ratios, round, summarize } from './harness.mjs';

const RATIOS = [1, 0.5, 0.1, 0.01];
const IDS = 4_096;
const ATTRIBUTES = { 'http.request.method': 'GET', 'url.path': '/orders', 'url.scheme': 'https' };
// What stock allocates here dies young.
const HOW = { rounds: 25, measure: 'cpu', collect: false };

export async function run({ log }) {
  // First, while the process is quiet.
  const evaluation = await evaluationCost({ log });
  log('sampler: 7 × 25 interleaved rounds, about 35 s');
  const samples = {};
  const headline = { vsTraceIdRatio: [], vsComposite: [] };
  for (const ratio of RATIOS) {
    const nanos = await interleave(roots(ratio), HOW);
    const vs = { vsTraceIdRatio: ratios(nanos.stock, nanos.ours), vsComposite: ratios(nanos.composite, nanos.ours) };
    for (const name of Object.keys(vs)) {
      samples[`${name}At${ratio}`] = vs[name];
      headline[name].push(vs[name]);
    }
    samples[`rootNanosAt${ratio}`] = nanos.ours;
  }
  for (const name of Object.keys(headline)) samples[name] = lowest(headline[name]);
  Object.assign(samples, await measureParents(), await measureRecordOnly());
  const { metrics, spread } = summarize(samples);
  const contenders = roots(0.1);
  return {
    metrics: {
      ...metrics,
      bytesPerRoot: Math.round(allocatedBytes(contenders.ours)),
      evaluateStallMillisP99: round(evaluation.stallMillisP99),
      evaluationCpuShare: round(evaluation.cpuShare),
    },
    spread,
  };
}

/** The samples with the lowest median. */
const lowest = (all) => all.reduce((a, b) => (median(b) < median(a) ? b : a));

function roots(ratio) {
  const ids = new RandomIdGenerator();
  const traceIds = Array.from({ length: IDS }, () => ids.generateTraceId());
  const contexts = traceIds.map(() => ROOT_CONTEXT);
  const loop = (sampler) => deciding(sampler, contexts, traceIds);
  return {
    ours: loop(new DegradationSampler({ ratio, metrics: false })),
    stock: loop(new TraceIdRatioBasedSampler(ratio)),
    composite: loop(createCompositeSampler(createComposableProbabilitySampler(ratio))),
  };
}

async function measureParents() {
  const remote = parents({ isRemote: true, makeState: (text) => new TraceState(text) });
  const api = parents({ isRemote: true, makeState: createTraceState });
  const local = parents({ isRemote: false, makeState: createTraceState });
  const on = (sampler, { contexts, traceIds }) => deciding(sampler, contexts, traceIds);
  const composite = () => createCompositeSampler(createComposableParentThresholdSampler(probability(1)));
  const probability = createComposableProbabilitySampler;
  const ours = (options) => new DegradationSampler({ ...options, metrics: false });
  const thinning = { controller: { level: 'moderate' } };
  const stock = () => new ParentBasedSampler({ root: new AlwaysOnSampler() });
  const follow = await interleave(
    {
      ours: on(ours(), remote),
      stock: on(stock(), remote),
      oursLocal: on(ours(), local),
      stockLocal: on(stock(), local),
    },
    HOW,
  );
  const parse = await interleave(
    { ours: on(ours(thinning), remote), oursApi: on(ours(thinning), api), composite: on(composite(), remote) },
    HOW,
  );
  return {
    vsParentBasedRemote: ratios(follow.stock, follow.ours),
    vsParentBasedLocal: ratios(follow.stockLocal, follow.oursLocal),
    remoteNanos: follow.ours,
    remoteParseNanos: parse.ours,
    remoteParseApiNanos: parse.oursApi,
    remoteParseVsComposite: ratios(parse.composite, parse.ours),
  };
}

/** All sampled, at th:8, with another vendor's member. */
function parents({ isRemote, makeState }) {
  const ids = new RandomIdGenerator();
  const traceIds = Array.from(
    { length: IDS },
    () => `${ids.generateTraceId().slice(0, 18)}f${ids.generateSpanId().slice(0, 13)}`,
  );
  const contexts = traceIds.map((traceId) =>
    trace.setSpanContext(ROOT_CONTEXT, {
      traceId,
      spanId: ids.generateSpanId(),
      traceFlags: TraceFlags.SAMPLED,
      isRemote,
      traceState: makeState('ot=th:8,vendor=00f067aa0ba902b7'),
    }),
  );
  return { contexts, traceIds };
}

async function measureRecordOnly() {
  const tracer = (keepErrors) => {
    const sampler = new DegradationSampler({ ratio: 0, keepErrors, metrics: false });
    return new BasicTracerProvider({ sampler }).getTracer('bench');
  };
  const recorded = tracer('all');
  const not = tracer('off');
  // Longer turns: a recorded span allocates, and the collections it causes belong to it.
  const nanos = await interleave({ recorded: spans(recorded), not: spans(not) }, { ...HOW, millis: 100 });
  return { recordOnlyRatio: ratios(nanos.recorded, nanos.not), notRecordedNanos: nanos.not };
}

function spans(tracer) {
  return (iterations) => {
    for (let i = 0; i < iterations; i++) {
      const span = tracer.startSpan('GET /orders', { kind: SpanKind.SERVER, attributes: ATTRIBUTES }, ROOT_CONTEXT);
      span.setAttribute('http.response.status_code', 200);
      span.end();
    }
  };
}

function deciding(sampler, contexts, traceIds) {
  const compile = new Function(
    'sampler, contexts, traceIds, name, kind, attributes, links',
    `let sink = 0;
     return (iterations) => {
       for (let i = 0; i < iterations; i++) {
         const at = i & ${IDS - 1};
         sink += sampler.shouldSample(contexts[at], traceIds[at], name, kind, attributes, links).decision;
       }
       return sink < 0 ? sink : undefined;
     };`,
  );
  return compile(sampler, contexts, traceIds, 'GET /orders', SpanKind.SERVER, ATTRIBUTES, []);
}
