import { context, diag, metrics, propagation, trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { type ResilienceOptions, resilience } from '@otel-resilience/node';
import { CountingReceiver, FaultProxy, ScriptedExporter } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HttpLeaf } from '../integration/http-leaf.js';
import { endSpans } from '../support/sdk.js';
import { PROTOCOLS } from '../support/stock-otlp.js';

let receiver: CountingReceiver;
let proxy: FaultProxy;

async function startCollector(protocol: 'grpc' | 'http/protobuf'): Promise<string> {
  receiver = new CountingReceiver({ protocol });
  await receiver.start();
  proxy = new FaultProxy({ upstream: receiver });
  const url = await proxy.start();
  await new Promise((resolve) => setTimeout(resolve, 20)); // what only helped to start is gone then
  return url;
}

beforeEach(() => {
  vi.stubEnv('OTEL_METRICS_EXPORTER', 'none');
  vi.stubEnv('OTEL_LOGS_EXPORTER', 'none');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const api of [trace, context, metrics, propagation, diag]) api.disable();
  await proxy.stop();
  await receiver.stop();
});

/** What keeps the event loop alive, and who listens to the process. */
function traces(): string[] {
  const listeners = process
    .eventNames()
    .flatMap((name) => Array(process.listenerCount(name)).fill(`on ${String(name)}`));
  return [...process.getActiveResourcesInfo(), ...listeners];
}

/** Traces that were not there before. */
function newTraces(before: readonly string[]): string[] {
  const left = [...before];
  return traces().filter((trace) => {
    const at = left.indexOf(trace);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** An application that ends spans, and whose SDK alone is shut down. */
async function runApplication(spans: number, options: ResilienceOptions) {
  const pipeline = resilience(options);
  const sdk = new NodeSDK({ ...pipeline.sdk });
  sdk.start();
  const tracer = trace.getTracer('application');
  for (let i = 0; i < spans; i++) tracer.startSpan(`span ${i}`).end();
  await sdk.shutdown();
  return pipeline.status();
}

describe('invariant 10: with OTEL_SDK_DISABLED nothing starts', () => {
  it('neither connection, timer, handle nor listener', async () => {
    const url = await startCollector('grpc');
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    const before = traces();
    const status = await runApplication(100, { endpoints: [url] });
    expect(newTraces(before)).toEqual([]);
    expect(status).toMatchObject({ disabled: true, balanced: true, totals: { ended: 0, waiting: 0 } });
    expect(proxy.snapshot().acceptedConnections).toBe(0);
    // Nor under a provider that does not look at the variable.
    expect(resilience({ endpoints: [url] }).sdk.spanProcessors).toEqual([]);
  });
});

describe('invariant 6: a shutdown of the SDK leaves nothing behind', () => {
  const SHUTDOWN_MILLIS = 800;

  async function stopAndLookBack(options: ResilienceOptions) {
    const before = traces();
    const startedAt = performance.now();
    const { balanced, totals } = await runApplication(1_500, {
      ...options,
      processor: { shutdownTimeoutMillis: SHUTDOWN_MILLIS },
    });
    expect(performance.now() - startedAt).toBeLessThan(SHUTDOWN_MILLIS + 1_500);
    expect(balanced).toBe(true);
    expect(totals).toMatchObject({ ended: 1_500, waiting: 0 });
    expect(totals.delivered).toBe(receiver.spanIds.size);
    proxy.reset();
    await soon(() => expect(newTraces(before)).toEqual([]));
  }

  it.each(PROTOCOLS)('over the stock exporter for %s', async (protocol) => {
    const url = await startCollector(protocol);
    await stopAndLookBack({ endpoints: [{ url, protocol }] });
  });

  // Over a leaf that ends its request when it is told to. The stock ones go on for up to 10 s, which is why.
  it.each<[string, () => unknown]>([
    ['answers', () => {}],
    ['refuses connections', () => proxy.refuse()],
    ['swallows what is sent', () => proxy.blackHole()],
    ['fails every request', () => receiver.respond({ kind: 'error', status: 503 })],
    ['throttles', () => receiver.respond({ kind: 'error', status: 429, retryAfterMillis: 60_000 })],
  ])('when the collector %s', async (_, fault) => {
    const url = await startCollector('http/protobuf');
    await fault();
    await stopAndLookBack({ exporters: [new HttpLeaf(`${url}/v1/traces`)] });
  });
});

describe('invariant 8: nothing of ours keeps a process alive', () => {
  it('with spans in the queue, in flight and in the spool', async () => {
    await startCollector('grpc');
    const exporter = new ScriptedExporter({ script: ['failure'], otherwise: 'never' });
    const before = traces();
    const { sdk, status, shutdown } = resilience({ exporters: [exporter], retry: { maxRetries: 0 } });
    endSpans(sdk.spanProcessors[0]!, 4_500);
    await soon(() => expect(status().tiered.spool.waiting).toBeGreaterThan(0));
    await soon(() => expect(exporter.openExports).toBe(1));
    expect(status().processor.queue.spans).toBeGreaterThan(0);
    expect(newTraces(before)).toEqual([]);
    exporter.respond('success');
    exporter.answerOpen();
    await shutdown();
    expect(status().totals).toMatchObject({ ended: 4_500, delivered: 4_500 });
  });
});

describe('two pipelines in one process', () => {
  it('live and die apart, though the exporter of one hangs', async () => {
    const url = await startCollector('http/protobuf');
    const hung = new ScriptedExporter({ otherwise: 'never' });
    const a = resilience({ exporters: [hung], processor: { shutdownTimeoutMillis: 500 } });
    const b = resilience({ endpoints: [{ url, protocol: 'http/protobuf' }] });
    endSpans(a.sdk.spanProcessors[0]!, 2_000);
    const ids = endSpans(b.sdk.spanProcessors[0]!, 2_000);
    await b.sdk.spanProcessors[0]!.forceFlush();
    expect(receiver.spanIds).toEqual(ids);
    expect(a.status().totals).toMatchObject({ ended: 2_000, delivered: 0, waiting: 2_000 });
    expect(b.status().totals).toMatchObject({ ended: 2_000, delivered: 2_000, waiting: 0 });
    expect(a.status().processor).not.toBe(b.status().processor);

    await a.shutdown();
    expect(hung.shutdowns).toBe(1);
    expect(a.status().totals).toMatchObject({ waiting: 0, dropped: expect.anything() });
    const later = endSpans(b.sdk.spanProcessors[0]!, 100);
    await b.shutdown();
    for (const id of later) expect(receiver.spanIds.has(id)).toBe(true);
    expect(b.status().totals).toMatchObject({ ended: 2_100, delivered: 2_100, dropped: {} });
  });
});

/** Sockets close in turns of the event loop; no timer, since that would be a trace itself. */
async function soon(check: () => void): Promise<void> {
  const until = performance.now() + 5_000;
  for (;;) {
    try {
      return check();
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
