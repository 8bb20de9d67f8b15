import {
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  type ReadableSpan,
  rejectedOutcome,
  SpanBatch,
  SpanBatchExporterBase,
  storedOutcome,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.js';
import {
  CircuitBreakerSpanExporter,
  type CircuitBreakerSpanExporterOptions,
  isCircuitBreakerSpanExporter,
} from './circuit-breaker-span-exporter.js';

const batch = SpanBatch.fromSpans([{}, {}, {}] as ReadableSpan[]);

type Answer = (batch: SpanBatch, context: ExportContext) => ExportOutcome | Promise<ExportOutcome>;

class Backend extends SpanBatchExporterBase {
  calls = 0;
  answer: Answer = () => deliveredOutcome(3);

  async exportBatch(asked: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    this.calls++;
    return this.answer(asked, context);
  }
}

function setUp(options: Partial<CircuitBreakerSpanExporterOptions> = {}) {
  const clock = new VirtualClock();
  const backend = new Backend({ clock });
  const exporter = new CircuitBreakerSpanExporter({ exporter: backend, clock, consecutiveFailures: 3, ...options });
  const abort = new AbortController();
  const context = (more: Partial<ExportContext> = {}): ExportContext => ({
    signal: abort.signal,
    deadline: clock.now() + 10_000,
    ...more,
  });
  const send = (more?: Partial<ExportContext>) => clock.run(exporter.exportBatch(batch, context(more)));
  return { clock, backend, exporter, breaker: exporter.breaker, abort, context, send };
}

const fails = (failure: Failure) => failedOutcome(batch, failure, new Error(failure));

describe('what the breaker sees of an export', () => {
  it.each<[string, ExportOutcome, 'ok' | 'failed' | 'released']>([
    ['delivered', deliveredOutcome(3), 'ok'],
    ['delivered but for a part that was rejected', deliveredOutcome(3, 1), 'ok'],
    ['rejected whole', rejectedOutcome(3), 'ok'],
    ['retryable', fails('retryable'), 'failed'],
    ['retryable for a part', { ...failedOutcome(batch.slice(1), 'retryable', new Error('x')), delivered: 1 }, 'failed'],
    ['throttled', fails('throttled'), 'released'],
    ['permanent', fails('permanent'), 'ok'],
    ['refused', fails('refused'), 'released'],
    ['shutdown', fails('shutdown'), 'released'],
    ['stored', storedOutcome(3), 'released'],
    ['dropped', droppedOutcome(3, 'full'), 'released'],
  ])('%s: passes the outcome on and counts it as %s', async (_, outcome, counter) => {
    const { backend, breaker, send } = setUp();
    backend.answer = () => outcome;
    expect(await send()).toBe(outcome);
    expect(breaker.metrics()).toMatchObject({ total: 1, ok: 0, failed: 0, released: 0, inFlight: 0, [counter]: 1 });
  });

  it('takes an answer to an empty batch for an answer', async () => {
    const { backend, exporter, breaker, context } = setUp();
    backend.answer = () => deliveredOutcome(0);
    await exporter.exportBatch(SpanBatch.fromSpans([]), context());
    expect(breaker.metrics().ok).toBe(1);
  });

  it('takes an attempt that times out for a failure, whoever ends it', async () => {
    const { backend, exporter, breaker, abort, clock, context, send } = setUp();
    backend.answer = () => new Promise(() => {});
    expect(await send()).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(breaker.metrics().failed).toBe(1);
    const cut = exporter.exportBatch(batch, context());
    await clock.settle();
    abort.abort(new ExportError('DEADLINE_EXCEEDED', 'attempt timeout'));
    expect(await cut).toMatchObject({ failure: 'retryable' });
    expect(breaker.metrics().failed).toBe(2);
  });

  it.each([
    ['a shutdown', new ExportError('SHUTDOWN', 'stop')],
    ['a caller that has lost interest', undefined],
  ])('learns nothing from an export that is cancelled by %s', async (_, reason) => {
    const { backend, exporter, breaker, abort, clock, context } = setUp();
    backend.answer = () => new Promise(() => {});
    const cut = exporter.exportBatch(batch, context());
    await clock.settle();
    abort.abort(reason);
    expect(await cut).toMatchObject({ remaining: batch });
    expect(breaker.metrics()).toMatchObject({ failed: 0, released: 1, inFlight: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('learns nothing from an export that had no time left, or had been cancelled, before it was made', async () => {
    const { backend, breaker, clock, send, abort } = setUp();
    expect(await send({ deadline: clock.now() })).toMatchObject({
      failure: 'retryable',
      error: { code: 'DEADLINE_EXCEEDED' },
    });
    abort.abort(new ExportError('SHUTDOWN', 'stop'));
    expect(await send()).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect(backend.calls).toBe(0);
    expect(breaker.metrics().total).toBe(0);
  });

  it('counts slow exports under the composite strategy', async () => {
    const { clock, backend, breaker, send } = setUp({ strategy: 'composite', consecutiveFailures: undefined });
    backend.answer = async () => {
      await clock.advance(1_500);
      return deliveredOutcome(3);
    };
    for (let i = 0; i < 10; i++) await send();
    expect(breaker.state).toBe('open');
  });
});

describe('an open breaker', () => {
  async function open(options?: Partial<CircuitBreakerSpanExporterOptions>) {
    const all = setUp(options);
    all.backend.answer = () => fails('retryable');
    for (let i = 0; i < 3; i++) await all.send();
    expect(all.breaker.state).toBe('open');
    return all;
  }

  it('refuses at once without calling the exporter', async () => {
    const { backend, send } = await open({ name: 'collector A' });
    expect(await send()).toMatchObject({
      failure: 'refused',
      remaining: batch,
      error: { code: 'REFUSED', message: 'collector A is open' },
    });
    expect(backend.calls).toBe(3);
  });

  it('admits a last-resort export every 500 ms, and takes traffic at once when one has been delivered', async () => {
    const { clock, backend, breaker, send } = await open();
    await send({ lastResort: true });
    expect(await send({ lastResort: true })).toMatchObject({ failure: 'refused' });
    expect(backend.calls).toBe(4);
    backend.answer = () => deliveredOutcome(3);
    await clock.advance(500);
    expect(await send({ lastResort: true })).toEqual(deliveredOutcome(3));
    expect(await send()).toEqual(deliveredOutcome(3));
    expect(await send()).toEqual(deliveredOutcome(3));
    expect(breaker.state).toBe('closed');
  });

  it('lets a recovered backend through while earlier last-resort exports still hang', async () => {
    const { clock, backend, exporter, breaker, context, send } = await open();
    backend.answer = () => new Promise(() => {});
    for (let i = 0; i < 3; i++) {
      void exporter.exportBatch(batch, context({ lastResort: true, deadline: clock.now() + 2_000 }));
      await clock.advance(500);
    }
    backend.answer = () => deliveredOutcome(3);
    expect(await send({ lastResort: true })).toEqual(deliveredOutcome(3));
    await clock.advance(2_000);
    expect(breaker.state).toBe('half-open');
    await send();
    await send();
    expect(breaker.state).toBe('closed');
  });
});

describe('CircuitBreakerSpanExporter', () => {
  it('can share a breaker with another exporter', async () => {
    const { clock, backend, send, breaker } = setUp();
    const other = new CircuitBreakerSpanExporter({ exporter: backend, breaker, clock });
    breaker.trip();
    const context = { signal: new AbortController().signal, deadline: clock.now() + 1_000 };
    expect(await other.exportBatch(batch, context)).toMatchObject({ failure: 'refused' });
    expect(await send()).toMatchObject({ failure: 'refused' });
  });

  it('guards a stock exporter, and is one', async () => {
    const spans: unknown[] = [];
    const stock = {
      export: (batch: unknown[], done: (result: { code: number }) => void) => {
        spans.push(...batch);
        done({ code: 0 });
      },
      shutdown: async () => {},
    };
    const exporter = new CircuitBreakerSpanExporter({ exporter: stock });
    const result = await new Promise((resolve) => exporter.export([{} as ReadableSpan], resolve));
    expect(result).toEqual({ code: 0 });
    expect(spans).toHaveLength(1);
    exporter.breaker.trip();
    const refused = await new Promise((resolve) => exporter.export([{} as ReadableSpan], resolve));
    expect(refused).toMatchObject({ code: 1, error: { code: 'REFUSED' } });
  });

  it('answers `shutdown` after a shutdown, and leaves no timer', async () => {
    const { clock, backend, exporter, send } = setUp();
    await send();
    await clock.run(exporter.shutdown());
    expect(await send()).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect(backend.calls).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is known by its brand', () => {
    expect(isCircuitBreakerSpanExporter(setUp().exporter)).toBe(true);
    expect([undefined, null, {}, new Backend(), new CircuitBreaker()].some(isCircuitBreakerSpanExporter)).toBe(false);
  });

  it.each<[string, Record<string, unknown>]>([
    ['exporter', { exporter: {} }],
    ['exporter', { exporter: undefined }],
    ['breaker', { breaker: {} }],
    ['strategy', { strategy: 'none' }],
    ['maxOpenMillis', { maxOpenMillis: 1 }],
    ['openMilis', { openMilis: 1 }],
    ['openMillis', { breaker: new CircuitBreaker(), openMillis: 1 }],
  ])('refuses a wrong %s, and names it', (option, options) => {
    const make = () =>
      new CircuitBreakerSpanExporter({ exporter: new Backend(), ...options } as CircuitBreakerSpanExporterOptions);
    expect(make).toThrow(new RegExp(`^CircuitBreakerSpanExporter\\.${option}: expected `));
  });
});
