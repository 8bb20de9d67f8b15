import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { FaultProxy, type FaultProxySnapshot } from '@otel-resilience/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { PROTOCOLS, useApplications } from './application.js';
import type { CollectorProcess, Protocol } from './collector-process.js';
import { useCollectors } from './fixtures.js';

/** How long an application has nothing to say: `PEERS_IDLE=10m`. */
const IDLE_MILLIS = durationOf(process.env.PEERS_IDLE ?? '2s');

describeWithPeer('collector', 'the connections to a Collector', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();
  let proxy: FaultProxy;
  afterEach(() => proxy.stop());

  /** Connections are counted on their way. */
  async function openThroughProxy(collector: CollectorProcess, protocol: Protocol) {
    proxy = new FaultProxy({ upstream: { host: '127.0.0.1', port: collector.portOf(protocol) } });
    await proxy.start();
    return openApplication({ transport: 'otlp', endpoints: [{ url: proxy.url, protocol }] });
  }

  it.each(PROTOCOLS)(
    `nothing to send for ${IDLE_MILLIS / 1_000} s: the next span goes through at the first attempt: %s`,
    async (protocol) => {
      const collector = await openCollector();
      const application = await openThroughProxy(collector, protocol);
      application.end(100);
      await application.flush();
      const before = await quiet(proxy);
      await wait(IDLE_MILLIS);
      // No ping, since Collectors answer pings on connections without calls with GOAWAY; and no GOAWAY.
      if (protocol === 'grpc') expect(proxy.snapshot()).toEqual(before);
      application.end(1);
      await application.flush();
      expect(application.account(collector)).toMatchObject({ ended: 101, missing: 0, foreign: 0, duplicates: 0 });
      expectNoFailure(application.status());
      if (protocol === 'grpc') expect(proxy.snapshot()).toMatchObject({ acceptedConnections: 1, openConnections: 1 });
    },
    IDLE_MILLIS + 60_000,
  );

  it.each(PROTOCOLS)(
    'a Collector that closes what is idle: the next span goes through at the first attempt: %s',
    async (protocol) => {
      const collector = await openCollector({ maxIdle: '500ms' });
      const application = await openThroughProxy(collector, protocol);
      application.end(100);
      await application.flush();
      await vi.waitUntil(() => proxy.snapshot().openConnections === 0, { timeout: 15_000 });
      application.end(1);
      await application.flush();
      expect(application.account(collector)).toMatchObject({ ended: 101, missing: 0, foreign: 0, duplicates: 0 });
      expectNoFailure(application.status());
    },
  );

  it('a Collector that sends GOAWAY in mid-stream, again and again: no call fails, no span comes twice', async () => {
    const collector = await openCollector({ maxAge: '200ms' });
    const application = await openThroughProxy(collector, 'grpc');
    application.startLoad(5_000);
    await vi.waitUntil(() => proxy.snapshot().acceptedConnections > 5, { timeout: 15_000 });
    application.stopLoad();
    await application.flush();
    const { ended, ...account } = application.account(collector);
    expect(account).toMatchObject({ missing: 0, foreign: 0, duplicates: 0 });
    expect(account.ledger).toMatchObject({ delivered: ended, waiting: 0, rejected: 0, dropped: {}, balanced: true });
    expectNoFailure(application.status());
  });
});

/** When the acknowledgements of HTTP/2 have been said too. */
async function quiet(proxy: FaultProxy): Promise<FaultProxySnapshot> {
  let before = proxy.snapshot();
  for (;;) {
    await wait(200);
    const now = proxy.snapshot();
    if (isDeepStrictEqual(now, before)) return now;
    before = now;
  }
}

function expectNoFailure({ endpoints }: ReturnType<ReturnType<ReturnType<typeof useApplications>>['status']>) {
  const [{ counts }] = endpoints as [(typeof endpoints)[number]];
  expect(counts.attempts).toBe(counts.succeeded);
}

function durationOf(text: string): number {
  const [, number, unit = 'ms'] = /^(\d+)(ms|s|m)?$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`PEERS_IDLE: expected a duration such as 10m or 30s, got ${text}`);
  return Number(number) * { ms: 1, s: 1_000, m: 60_000 }[unit]!;
}
