import { resilience } from '@otel-resilience/node';
import { CountingReceiver, fakeSpan, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { HttpLeaf } from '../integration/http-leaf.js';
import { endSpans } from '../support/sdk.js';

const SECOND = 1_000;
const STORM_SECONDS = 120;
const SPANS_PER_SECOND = 200;

function throttle(retryAfter: string | undefined) {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  return { kind: 'failure' as const, error: Object.assign(new Error('Too Many Requests'), { code: 429, headers }) };
}

/** Two endpoints that throttle whatever comes, under load, and then do not any more. */
async function storm(retryAfter: string | undefined) {
  const clock = new VirtualClock();
  const endpoints = [1, 2].map(() => new ScriptedExporter({ clock, otherwise: throttle(retryAfter) }));
  const { sdk, status, shutdown } = resilience({ exporters: endpoints, clock });
  const live = async (seconds: number) => {
    for (let tenth = 0; tenth < 10 * seconds; tenth++) {
      for (let i = 0; i < SPANS_PER_SECOND / 10; i++) sdk.spanProcessors[0]!.onEnd(fakeSpan());
      await clock.advance(SECOND / 10);
      expect(status().balanced).toBe(true);
    }
  };
  await live(STORM_SECONDS);
  const requests = endpoints.map(({ exports }) => exports.length);
  for (const endpoint of endpoints) endpoint.respond('success');
  await live(40);
  await clock.run(shutdown());
  expect(clock.pendingTimers).toBe(0);
  return { requests, status: status(), delivered: new Set(endpoints.flatMap(({ deliveredSpans }) => deliveredSpans)) };
}

describe('a storm of 429s', () => {
  it.each<[string | undefined, number]>([
    // Requests per second and endpoint. Without a hint they are the probes, one every 250 ms.
    [undefined, 4],
    ['0', 4],
    ['soon', 4],
    ['5', 0.5],
    ['60', 0.1],
  ])('with Retry-After %j loses nothing, and sends few requests', async (retryAfter, mostPerSecond) => {
    const ended = (STORM_SECONDS + 40) * SPANS_PER_SECOND;
    const { requests, status, delivered } = await storm(retryAfter);
    for (const count of requests) expect(count).toBeLessThanOrEqual(10 + mostPerSecond * STORM_SECONDS);
    expect(status.totals).toMatchObject({ ended, delivered: ended, waiting: 0, rejected: 0, dropped: {} });
    expect(delivered.size).toBe(ended);
  });

  it('over HTTP loses nothing either', async () => {
    const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
    await receiver.start();
    receiver.respond({ kind: 'error', status: 429, headers: { 'retry-after': '1' } });
    const { sdk, status, shutdown } = resilience({ exporters: [new HttpLeaf(receiver.tracesUrl)] });
    const [processor] = sdk.spanProcessors;
    const ids = endSpans(processor!, 5_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 0 });
    expect(receiver.requests).toBeLessThanOrEqual(15);
    expect(status()).toMatchObject({ balanced: true, totals: { ended: 5_000, waiting: 5_000 } });
    receiver.respond();
    await processor!.forceFlush();
    expect(receiver.spanIds).toEqual(ids);
    expect(status()).toMatchObject({ balanced: true, totals: { delivered: 5_000, waiting: 0, dropped: {} } });
    await shutdown();
    await receiver.stop();
  });
});
