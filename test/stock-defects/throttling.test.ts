import { type ExportResult, type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { RetryingSpanExporter } from '@otel-resilience/exporter';
import {
  CountingReceiver,
  fakeSpans,
  type ReceiverAnswer,
  ScriptedExporter,
  VirtualClock,
} from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stockOtlpExporter } from '../support/stock-otlp.js';

const SPANS = fakeSpans(3);

interface Exporter {
  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): unknown;
}
const exportOnce = (exporter: Exporter) => new Promise<ExportResult>((resolve) => exporter.export(SPANS, resolve));

async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now();
  return [await run(), performance.now() - startedAt];
}

describe('Retry-After over HTTP', () => {
  let receiver: CountingReceiver;
  const throttle = (retryAfter: string) =>
    receiver.respond({ kind: 'error', status: 503, headers: { 'retry-after': retryAfter } });

  beforeEach(async () => {
    receiver = new CountingReceiver({ protocol: 'http/protobuf' });
    await receiver.start();
  });
  afterEach(() => receiver.stop());

  it.each(['0', '-1', 'soon'])('%j: the stock exporter sends all six attempts in no time', async (value) => {
    throttle(value);
    const exporter = stockOtlpExporter(receiver);
    const [{ code }, tookMillis] = await timed(() => exportOnce(exporter));
    expect(code).toBe(1);
    expect(receiver.requests).toBe(6);
    expect(tookMillis).toBeLessThan(3_000); // its own back-offs would be 1, 1.5, 2.25, 3.4 and 5 s
    await exporter.shutdown();
  });

  it('60: the stock exporter gives up at once and does not say for how long', async () => {
    throttle('60');
    const exporter = stockOtlpExporter(receiver);
    const [{ code, error }, tookMillis] = await timed(() => exportOnce(exporter));
    expect(code).toBe(1);
    expect(receiver.requests).toBe(1);
    expect(tookMillis).toBeLessThan(3_000);
    expect(JSON.stringify({ ...error, message: error?.message })).not.toContain('60');
    await exporter.shutdown();
  });
});

describe('Retry-After with ours', () => {
  const throttled = (retryAfter: string) => ({
    kind: 'failure' as const,
    error: Object.assign(new Error('Service Unavailable'), { code: 503, headers: { 'Retry-After': retryAfter } }),
  });
  function setUp(script: ReturnType<typeof throttled>[], options: { maxRetries?: number } = {}) {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ clock, script });
    const retrying = new RetryingSpanExporter({ exporter, clock, ...options });
    const waits = () => exporter.exports.map(({ at }) => at).flatMap((at, i, all) => (i > 0 ? [at - all[i - 1]!] : []));
    return { clock, exporter, retrying, waits };
  }

  it.each(['0', '-1', 'soon'])('%j: still backs off before every retry', async (value) => {
    const { clock, exporter, retrying, waits } = setUp(Array(4).fill(throttled(value)));
    expect(await clock.run(exportOnce(retrying))).toMatchObject({ code: 1 });
    expect(exporter.exports).toHaveLength(4);
    for (const [retry, wait] of waits().entries()) {
      const backoff = 100 * 2 ** retry;
      expect(wait).toBeGreaterThanOrEqual(0.9 * backoff);
      expect(wait).toBeLessThanOrEqual(1.1 * backoff);
    }
    expect(clock.pendingTimers).toBe(0);
  });

  it('20: waits as long as asked, then delivers', async () => {
    const { clock, exporter, retrying, waits } = setUp([throttled('20')]);
    expect(await clock.run(exportOnce(retrying))).toEqual({ code: 0 });
    expect(waits()).toHaveLength(1);
    expect(waits()[0]).toBeGreaterThanOrEqual(20_000);
    expect(waits()[0]).toBeLessThanOrEqual(22_000);
    expect(exporter.deliveredSpans).toHaveLength(SPANS.length);
  });

  it('60: gives the batch back, with the hint, when that is past the deadline, and waits when it is not', async () => {
    const { clock, exporter, retrying, waits } = setUp([throttled('60'), throttled('60')]);
    const exportWithin = (millis: number) => {
      const context = { signal: new AbortController().signal, deadline: clock.now() + millis };
      return clock.run(retrying.exportBatch(SpanBatch.fromSpans(SPANS), context));
    };
    const tooLate = await exportWithin(30_000);
    expect(tooLate).toMatchObject({ failure: 'throttled', retryAfterMillis: 60_000 });
    expect(tooLate.remaining?.spanCount).toBe(SPANS.length);
    expect(exporter.exports).toHaveLength(1);
    expect(await exportWithin(90_000)).toMatchObject({ delivered: SPANS.length });
    expect(waits().at(-1)).toBeGreaterThanOrEqual(60_000);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('failures over gRPC', () => {
  let receiver: CountingReceiver;
  const exhausted: ReceiverAnswer = { kind: 'error', status: 8, message: 'slow down' };

  beforeEach(async () => {
    receiver = new CountingReceiver({ protocol: 'grpc' });
    await receiver.start();
  });
  afterEach(() => receiver.stop());

  const answers = [
    ['RESOURCE_EXHAUSTED with RetryInfo', { ...exhausted, retryAfterMillis: 400 }, 400],
    ['UNAVAILABLE', { kind: 'error', status: 14 }, 90],
  ] as const satisfies readonly (readonly [string, ReceiverAnswer, number])[];

  it.each(answers)('%s: the stock exporter does not try again', async (_, answer) => {
    receiver.script([answer]);
    const exporter = stockOtlpExporter(receiver);
    expect(await exportOnce(exporter)).toMatchObject({ code: 1 });
    expect(receiver.snapshot()).toMatchObject({ requests: 1, uniqueSpans: 0 });
    await exporter.shutdown();
  });

  it.each(answers)('%s: ours waits and delivers, by the same exporter', async (_, answer, leastMillis) => {
    receiver.script([answer]);
    const retrying = new RetryingSpanExporter({ exporter: stockOtlpExporter(receiver) });
    expect(await exportOnce(retrying)).toEqual({ code: 0 });
    expect(receiver.snapshot()).toMatchObject({ requests: 2, uniqueSpans: SPANS.length, duplicates: 0 });
    const [first, second] = receiver.log;
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(leastMillis - 1); // timers may be a fraction early
    await retrying.shutdown();
  });

  it('RESOURCE_EXHAUSTED without RetryInfo: ours does not try again, since OTLP says that it means the size', async () => {
    receiver.script([exhausted]);
    const retrying = new RetryingSpanExporter({ exporter: stockOtlpExporter(receiver) });
    expect(await exportOnce(retrying)).toMatchObject({ code: 1 });
    expect(receiver.requests).toBe(1);
    await retrying.shutdown();
  });
});
