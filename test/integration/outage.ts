import { type BasicTracerProvider, BasicTracerProvider as Provider } from '@opentelemetry/sdk-trace-base';
import { type Resilience, type ResilienceOptions, resilience } from '@otel-resilience/node';
import { CountingReceiver, FaultProxy, spanKey } from '@otel-resilience/testing';

export type Fault = 'refuse' | 'blackHole';

export interface OutageOptions {
  readonly fault: Fault;
  readonly protocol: 'grpc' | 'http/protobuf';
  readonly outageMillis: number;
  readonly pipeline: (urls: readonly string[]) => ResilienceOptions;
}

export interface OutageResult {
  /** From the moment the network was back to the first request that a receiver answered. */
  readonly firstSuccessMillis: number;
  readonly ended: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly balanced: boolean;
  readonly dropped: Readonly<Record<string, number>>;
}

const SPANS_PER_TICK = 20;
const TICK_MILLIS = 10; // 2,000 spans/s

/** Two endpoints and 2,000 spans/s through `resilience()` defaults; both die, and come back together. */
export async function runOutage({ fault, protocol, outageMillis, pipeline }: OutageOptions): Promise<OutageResult> {
  const sites = await Promise.all([0, 1].map(() => openSite(protocol)));
  const r = resilience(pipeline(sites.map(({ url }) => url)));
  const provider = new Provider({ spanProcessors: r.sdk.spanProcessors });
  const load = startLoad(provider, r);
  try {
    await wait(1_500);
    for (const { proxy } of sites) await strike(proxy, fault);
    await wait(outageMillis);
    let firstAt: number | undefined;
    for (const { receiver } of sites) {
      receiver.respond(() => {
        firstAt ??= performance.now();
        return { kind: 'success' };
      });
    }
    for (const { proxy } of sites) await proxy.heal();
    const healedAt = performance.now();
    while (firstAt === undefined && performance.now() - healedAt < 120_000) await wait(5);
    await wait(500);
    load.stop();
    await provider.shutdown();
    const received = new Set(sites.flatMap(({ receiver }) => [...receiver.spanIds]));
    const total = sites.reduce((sum, { receiver }) => sum + receiver.receivedSpans, 0);
    return {
      firstSuccessMillis: (firstAt ?? Number.POSITIVE_INFINITY) - healedAt,
      ended: load.ended.size,
      missing: [...load.ended].filter((key) => !received.has(key)).length,
      duplicates: total - received.size,
      balanced: load.balanced() && r.status().balanced,
      dropped: r.status().totals.dropped,
    };
  } finally {
    load.stop();
    await provider.shutdown();
    for (const { proxy, receiver } of sites) {
      await proxy.stop();
      await receiver.stop();
    }
  }
}

/** After a silent black hole only the client's own deadline ends a connection: the worst case. */
const strike = (proxy: FaultProxy, fault: Fault) =>
  fault === 'refuse' ? proxy.refuse() : proxy.blackHole({ afterwards: 'silent' });

async function openSite(protocol: 'grpc' | 'http/protobuf') {
  const receiver = new CountingReceiver({ protocol });
  await receiver.start();
  const proxy = new FaultProxy({ upstream: { host: receiver.host, port: receiver.port } });
  await proxy.start();
  const path = protocol === 'grpc' ? '' : '/v1/traces';
  return { receiver, proxy, url: `http://${proxy.host}:${proxy.port}${path}` };
}

function startLoad(provider: BasicTracerProvider, r: Resilience) {
  const tracer = provider.getTracer('load');
  const ended = new Set<string>();
  let unbalanced = 0;
  let due = 0;
  const startedAt = performance.now();
  const timer = setInterval(() => {
    for (const target = (performance.now() - startedAt) / TICK_MILLIS; due < target; due++) {
      for (let i = 0; i < SPANS_PER_TICK; i++) {
        const span = tracer.startSpan('GET /users/:id', { attributes: { 'http.route': '/users/:id', 'app.index': i } });
        ended.add(spanKey(span.spanContext()));
        span.end();
      }
    }
    if (!r.status().balanced) unbalanced++;
  }, TICK_MILLIS);
  return { ended, balanced: () => unbalanced === 0, stop: () => clearInterval(timer) };
}

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis));
