import { type Context, ROOT_CONTEXT, type SpanContext, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { BasicTracerProvider, type Span } from '@opentelemetry/sdk-trace-base';
import { ConfigurationError, type ReadableSpan } from '@otel-resilience/core';
import { ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Resilience, resilience } from './resilience.js';
import type { ResilienceOptions } from './resilience-options.js';

afterEach(() => vi.unstubAllEnvs());

/** Only what the pipeline says moves the level: the machine that runs this may be busy. */
const PIPELINE_ONLY = { triggers: { cpu: false, memory: false, heap: false, eventLoop: false } } as const;

function application(options: ResilienceOptions = {}) {
  const clock = new VirtualClock();
  const exporter = new ScriptedExporter();
  const r = resilience({ exporters: [exporter], clock, degradation: PIPELINE_ONLY, ...options });
  const provider = new BasicTracerProvider({ ...r.sdk });
  return { clock, exporter, r, provider, tracer: provider.getTracer('test') };
}

type Application = ReturnType<typeof application>;

/** A root with one child. */
function request({ tracer }: Pick<Application, 'tracer'>, { fails = false, parent = ROOT_CONTEXT as Context } = {}) {
  const root = tracer.startSpan('GET /', {}, parent);
  const child = tracer.startSpan('SELECT', {}, trace.setSpan(parent, root));
  if (fails) child.setStatus({ code: SpanStatusCode.ERROR });
  child.end();
  root.end();
  return root as Span;
}

const thresholds = (spans: readonly ReadableSpan[]) =>
  spans.map((span) => span.spanContext().traceState?.get('ot') ?? 'none');

async function flushed({ r, clock }: Pick<Application, 'r' | 'clock'>): Promise<void> {
  await clock.run(r.forceFlush());
}

describe('the loop of the preset', () => {
  it('samples everything at the normal level, countably, and holds nothing', async () => {
    const app = application();
    for (let i = 0; i < 10; i++) request(app);
    expect(app.r.status()).toMatchObject({
      degradation: { level: 'normal', running: true },
      sampling: { ratio: 1, sampled: 20 },
      tailSampling: { held: { spans: 0 }, balanced: true },
      balanced: true,
    });
    await flushed(app);
    expect(thresholds(app.exporter.spans)).toEqual(Array(20).fill('th:0'));
  });

  it('keeps every trace with an error at heavy, and accounts for the others', async () => {
    const app = application();
    app.r.degradation.force('heavy');
    for (let i = 0; i < 200; i++) request(app, { fails: i % 10 === 0 });
    await flushed(app);
    const { exporter, r } = app;
    const kept = exporter.spans.filter((span) => span.spanContext().traceState?.get('ot') === 'th:0');
    expect(kept).toHaveLength(40);
    const { totals, balanced, tailSampling } = r.status();
    expect(balanced).toBe(true);
    expect(tailSampling).toMatchObject({ kept: { error: 40 }, held: { spans: 0 } });
    expect(totals).toMatchObject({ ended: 400, delivered: exporter.spans.length, waiting: 0, dropped: {} });
    expect(totals.unsampled).toBe(400 - exporter.spans.length);
  });

  it('raises the level when the spool fills, before anything is lost, and lowers it step by step', async () => {
    const exporter = new ScriptedExporter({ otherwise: { kind: 'failure', error: new Error('down') } });
    const app = application({ exporters: [exporter], spool: { maxBytes: 400_000 } });
    const { r, clock } = app;
    let spans = 0;
    while (r.degradation.level === 'normal' && spans < 10_000) {
      for (let i = 0; i < 50; i++) request(app);
      spans += 100;
      await clock.advance(1_000);
    }
    expect(r.degradation.level).not.toBe('normal');
    const { signals, totals, degradation, balanced } = r.status();
    expect(degradation.reason).toMatchObject({ trigger: 'spool' });
    expect(signals.spoolUtilization).toBeGreaterThanOrEqual(0.5);
    expect(totals.dropped).toEqual({});
    expect(balanced).toBe(true);

    exporter.respond({ kind: 'success' });
    await clock.advance(5 * 60_000);
    expect(r.degradation.level).toBe('normal');
    expect(r.status().totals).toMatchObject({ waiting: 0, dropped: {} });
    await clock.run(r.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not give up tracing for one export that was lost, only when it goes on for a minute', async () => {
    const app = application();
    const { r, clock, exporter } = app;
    const refused = { kind: 'failure', error: Object.assign(new Error('Bad Request'), { code: 400 }) } as const;
    async function minute() {
      for (let i = 0; i < 3; i++) {
        request(app);
        await clock.advance(20_000);
      }
    }
    await minute();
    exporter.script([refused]);
    await minute();
    await minute();
    expect(r.status().totals.rejected).toBe(2);
    expect(r.degradation.history()).toEqual([]);
    exporter.respond(refused);
    await minute();
    await minute();
    expect(r.degradation.history()[0]).toMatchObject({ trigger: 'errorRate' });
  });

  it('makes batches larger and rarer while the level is raised', () => {
    const app = application();
    request(app);
    const before = app.r.status().processor;
    app.r.degradation.force('heavy');
    request(app, { fails: true });
    const after = app.r.status().processor;
    expect(after.batchSize).toBeGreaterThan(before.batchSize);
    expect(after.batchWaitMillis).toBeGreaterThan(before.batchWaitMillis);
  });

  it('trims attributes from moderate on', async () => {
    const app = application({ degradation: PIPELINE_ONLY });
    app.r.degradation.force('moderate');
    for (let i = 0; i < 300; i++) {
      app.tracer
        .startSpan('GET /', { attributes: { 'http.request.header.cookie': ['x'], 'http.request.method': 'GET' } })
        .end();
    }
    await flushed(app);
    expect(app.exporter.spans.length).toBeGreaterThan(0);
    for (const { attributes, droppedAttributesCount } of app.exporter.spans) {
      expect(attributes).toEqual({ 'http.request.method': 'GET' });
      expect(droppedAttributesCount).toBe(1);
    }
    expect(app.r.status().attributeTrimming.trimmed).toMatchObject({ spans: app.exporter.spans.length });
  });

  it('changes nothing when it only monitors, or is not enabled', async () => {
    for (const mode of [{ monitorOnly: true }, { enabled: false }]) {
      const always = { name: 'always', thresholds: { light: 1, moderate: 1, heavy: 1, emergency: 1 }, read: () => 2 };
      const app = application({ degradation: { ...PIPELINE_ONLY, ...mode, additionalTriggers: [always] } });
      request(app);
      await app.clock.advance(60_000);
      request(app);
      expect(app.r.degradation.level).toBe('normal');
      expect(app.r.status().degradation.automaticLevel).toBe('monitorOnly' in mode ? 'emergency' : 'normal');
      expect(app.r.status().totals.unsampled).toBe(0);
      await app.clock.run(app.r.shutdown());
    }
  });

  it('starts with the first span and ends with the SDK', async () => {
    const app = application();
    await app.clock.advance(60_000);
    expect(app.clock.pendingTimers).toBe(0);
    expect(app.r.status().degradation.running).toBe(false);
    request(app);
    expect(app.r.status().degradation.running).toBe(true);
    await app.clock.run(app.provider.shutdown());
    expect(app.r.status().degradation.running).toBe(false);
    expect(app.clock.pendingTimers).toBe(0);
    request(app);
    expect(app.r.status()).toMatchObject({ balanced: true, totals: { ended: 4, dropped: { shutdown: 2 } } });
  });

  it('is not started by a span after the shutdown, not even by the first', async () => {
    const app = application();
    await app.clock.run(app.r.shutdown());
    request(app);
    expect(app.r.status().degradation.running).toBe(false);
    expect(app.clock.pendingTimers).toBe(0);
  });
});

describe('OTEL_TRACES_SAMPLER', () => {
  const remote = (sampled: boolean): Context => {
    const parent: SpanContext = {
      traceId: '0'.repeat(18) + '7'.repeat(14), // kept by ratios above 0.53
      spanId: 'b'.repeat(16),
      traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
      isRemote: true,
    };
    return trace.setSpanContext(ROOT_CONTEXT, parent);
  };
  /** Of roots the share that is sampled, and whether the children of remote parents are. */
  function decisions(environment: Readonly<Record<string, string>>, options: ResilienceOptions = {}) {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const { tracer } = application(options);
    const isSampled = (parent: Context) => {
      const span = tracer.startSpan('GET /', {}, parent);
      span.end();
      return (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
    };
    let sampled = 0;
    for (let i = 0; i < 2_000; i++) if (isSampled(ROOT_CONTEXT)) sampled++;
    return {
      share: sampled / 2_000,
      sampledParent: isSampled(remote(true)),
      unsampledParent: isSampled(remote(false)),
    };
  }

  it.each([
    ['', '', { share: 1, sampledParent: true, unsampledParent: false }],
    ['parentbased_always_on', '', { share: 1, sampledParent: true, unsampledParent: false }],
    ['parentbased_always_off', '', { share: 0, sampledParent: true, unsampledParent: false }],
    ['parentbased_traceidratio', '0.1', { share: 0.1, sampledParent: true, unsampledParent: false }],
    ['always_on', '', { share: 1, sampledParent: true, unsampledParent: true }],
    ['always_off', '', { share: 0, sampledParent: false, unsampledParent: false }],
    ['traceidratio', '0.1', { share: 0.1, sampledParent: false, unsampledParent: false }],
    ['traceidratio', '0.9', { share: 0.9, sampledParent: true, unsampledParent: true }],
  ])('%s %s is what it is in the SDK', (name, argument, { share, ...parents }) => {
    const seen = decisions({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument });
    expect(seen).toMatchObject(parents);
    expect(Math.abs(seen.share - share)).toBeLessThan(share % 1 === 0 ? 1e-9 : 0.04);
  });

  it('gives way to a ratio or a sampler in code', () => {
    const environment = { OTEL_TRACES_SAMPLER: 'always_off' };
    expect(decisions(environment, { sampler: { ratio: 1 } }).share).toBe(1);
    const delegate = { shouldSample: () => ({ decision: 2 as const }), toString: () => 'mine' };
    expect(decisions(environment, { sampler: { delegate } }).share).toBe(1);
  });
});

describe('the options of the degradation', () => {
  it.each<[object, string]>([
    [
      { degradation: { triggers: { cpus: true } } },
      'resilience.degradation.triggers.cpus: expected one of cpu, memory',
    ],
    [{ degradation: { triggers: { cpu: 70 } } }, 'resilience.degradation.triggers.cpu: expected true, false, or'],
    [
      { degradation: { triggers: { queue: { thresholds: { light: 2 } } } } },
      'resilience.degradation.triggers.queue.thresholds.light',
    ],
    [{ degradation: { additionalTriggers: [{}] } }, 'expected a Trigger'],
    [{ degradation: { evaluationIntervalMillis: '1s' } }, 'resilience.degradation.evaluationIntervalMillis'],
    [{ degradation: { evaluationIntervalMillis: 0 } }, 'resilience.degradation.evaluationIntervalMillis'],
    [{ degradation: { signals: {} } }, 'resilience.degradation.signals: expected nothing'],
    [{ sampler: { controller: {} } }, 'resilience.sampler.controller: expected nothing'],
    [{ sampler: { shouldSample: () => ({ decision: 2 }) } }, 'a sampler goes in as { delegate }'],
    [{ sampler: { ratio: 2 } }, 'resilience.sampler.ratio'],
    [{ tailSampling: { next: {} } }, 'resilience.tailSampling.next: expected nothing'],
    [{ tailSampling: { maxHeldTraces: 0 } }, 'resilience.tailSampling.maxHeldTraces'],
    [{ attributeTrimming: { next: {} } }, 'resilience.attributeTrimming.next: expected nothing'],
  ])('%j is refused, naming the path', (options, message) => {
    const construct = (): Resilience => resilience(options as ResilienceOptions);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(message);
  });

  it('leaves triggers out, changes them, and adds others', () => {
    const own = { name: 'inbox', thresholds: { light: 1, moderate: 2, heavy: 3, emergency: 4 }, read: () => 0 };
    const triggers = { memory: false, pressure: true, queue: { thresholds: { light: 0.3 } } };
    const { r } = application({ degradation: { triggers, additionalTriggers: [own] } });
    const status = r.status().degradation.triggers;
    const names = status.map(({ name }) => name);
    expect(names).toContain('inbox');
    expect(names).not.toContain('memory');
    expect(status.find(({ name }) => name === 'queue')?.thresholds).toMatchObject({ light: 0.3, moderate: 0.9 });
  });
});
