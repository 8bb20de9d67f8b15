import { resilience } from '@otel-resilience/node';
import { CountingReceiver, fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';

const ATTEMPT_MILLIS = 100;
const LATENCY_MILLIS = 250;
const SPANS_PER_TICK = 20;
const TICK_MILLIS = 25;

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis));

describe.each(['grpc', 'http/protobuf'] as const)(
  'a collector that takes longer than an attempt, over our own %s',
  (protocol) => {
    it('is given the time it takes, and from then on gets every batch once', async () => {
      const receiver = new CountingReceiver({ protocol });
      const url = await receiver.start();
      receiver.respond({ kind: 'success', delayMillis: LATENCY_MILLIS });
      const r = resilience({
        transport: 'otlp',
        endpoints: [{ url, protocol }],
        failover: { attemptTimeoutMillis: ATTEMPT_MILLIS },
        processor: { scheduledDelayMillis: 50, maxExportBatchSize: 100 },
        degradation: { enabled: false },
      });
      const [processor] = r.sdk.spanProcessors;
      const attemptTimeoutMillis = () => r.status().endpoints[0]!.attemptTimeoutMillis;
      let ended = 0;
      const tick = async () => {
        for (let i = 0; i < SPANS_PER_TICK; i++) processor!.onEnd(fakeSpan());
        ended += SPANS_PER_TICK;
        await wait(TICK_MILLIS);
      };
      try {
        const startedAt = performance.now();
        while (attemptTimeoutMillis() <= LATENCY_MILLIS && performance.now() < startedAt + 10_000) await tick();
        expect(attemptTimeoutMillis()).toBeGreaterThanOrEqual(2 * LATENCY_MILLIS);
        await r.forceFlush({ timeoutMillis: 10_000 });
        const { duplicates } = receiver;
        expect(duplicates).toBeGreaterThan(0);
        for (let i = 0; i < 20; i++) await tick();
        await r.forceFlush({ timeoutMillis: 10_000 });
        expect(receiver.duplicates).toBe(duplicates);
        expect(receiver.spanIds.size).toBe(ended);
        expect(r.status()).toMatchObject({
          balanced: true,
          totals: { ended, delivered: ended, rejected: 0, waiting: 0, dropped: {} },
        });
      } finally {
        await r.shutdown();
        await receiver.stop();
      }
    });
  },
);
