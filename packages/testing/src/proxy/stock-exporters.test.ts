import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableSpan as StockSpan } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan } from '@otel-resilience/core';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeSpans } from '../fake-span.js';
import { CountingReceiver } from '../receiver/counting-receiver.js';
import { FaultProxy } from './fault-proxy.js';

const toClose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

type Result = { code: number; error?: Error };

describe.each(['grpc', 'http/protobuf'] as const)(
  'FaultProxy before a receiver, stock exporter over %s',
  (protocol) => {
    async function startReceiver(): Promise<CountingReceiver> {
      const receiver = new CountingReceiver({ protocol });
      toClose.push(() => receiver.stop());
      await receiver.start();
      return receiver;
    }

    async function setUp(receivers = 1) {
      const upstreams = await Promise.all(Array.from({ length: receivers }, startReceiver));
      const proxy = new FaultProxy({ upstreams });
      toClose.push(() => proxy.stop());
      await proxy.start();
      const send = (spans: readonly ReadableSpan[], timeoutMillis = 5_000) => {
        const url = protocol === 'grpc' ? proxy.url : `${proxy.url}/v1/traces`;
        const exporter = new (protocol === 'grpc' ? GrpcExporter : HttpExporter)({ url, timeoutMillis });
        toClose.push(() => exporter.shutdown());
        return new Promise<Result>((resolve) => exporter.export(spans as unknown as StockSpan[], resolve));
      };
      return { proxy, send, receiver: upstreams[0]!, upstreams };
    }

    /** Until the exporter gets through: grpc-js waits before it connects again. */
    async function sendUntilDelivered(send: (spans: readonly ReadableSpan[]) => Promise<Result>): Promise<void> {
      const deadline = performance.now() + 8_000;
      while ((await send(fakeSpans(1))).code !== 0) {
        if (performance.now() > deadline) throw new Error('still not delivered');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }

    it('delivers everything, late and slowly', async () => {
      const { proxy, send, receiver } = await setUp();
      proxy.set({ latencyMillis: 30, jitterMillis: 10, throttleBytesPerSecond: 400_000 });
      const startedAt = performance.now();
      expect(await send(fakeSpans(100))).toEqual({ code: 0 });
      expect(performance.now() - startedAt).toBeGreaterThan(90); // two ways of latency, and about 50 kB
      expect(receiver.spanIds.size).toBe(100);
    });

    it('fails while refused, and delivers when healed', async () => {
      const { proxy, send, receiver } = await setUp();
      expect(await send(fakeSpans(1))).toEqual({ code: 0 });
      await proxy.refuse();
      expect(await send(fakeSpans(2), 300)).toMatchObject({ code: 1 });
      expect(receiver.receivedSpans).toBe(1);
      await proxy.heal();
      await sendUntilDelivered(send);
    });

    it('times out in a black hole, and delivers when healed', async () => {
      const { proxy, send, receiver } = await setUp();
      await proxy.blackHole();
      expect(await send(fakeSpans(2), 300)).toMatchObject({ code: 1 });
      expect(receiver.requests).toBe(0);
      await proxy.heal();
      await sendUntilDelivered(send);
    });

    it('fails when cut in the middle of its request, of which the receiver counts nothing', async () => {
      const { proxy, send, receiver } = await setUp();
      proxy.cutAfter(20_000);
      expect(await send(fakeSpans(200), 900)).toMatchObject({ code: 1 });
      expect(proxy.snapshot().cuts).toBeGreaterThan(0);
      expect(receiver.receivedSpans).toBe(0);
    });

    it('fails when the answer is cut, though the spans were received', async () => {
      const { proxy, send, receiver } = await setUp();
      // gRPC: past the settings that a server sends first; the answer's headers follow.
      proxy.cutAfter(protocol === 'grpc' ? 40 : 1, { direction: 'toClient' });
      expect(await send(fakeSpans(50), 900)).toMatchObject({ code: 1 });
      expect(receiver.spanIds.size).toBe(50);
    });

    it('fails in a stall that outlasts it, though the spans are received afterwards', async () => {
      const { proxy, send, receiver } = await setUp();
      expect(await send(fakeSpans(1))).toEqual({ code: 0 });
      await proxy.stall();
      expect(await send(fakeSpans(20), 300)).toMatchObject({ code: 1 });
      expect(receiver.spanIds.size).toBe(1);
      await proxy.heal();
      await receiver.waitForSpans(20);
    });

    it('fails over to the next receiver when the first dies', async () => {
      const { send, upstreams } = await setUp(2);
      const [a, b] = upstreams as [CountingReceiver, CountingReceiver];
      expect(await send(fakeSpans(3))).toEqual({ code: 0 });
      await a.stop();
      await sendUntilDelivered(send);
      expect([a.spanIds.size, b.spanIds.size]).toEqual([3, 1]);
    });
  },
);
