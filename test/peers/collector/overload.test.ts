import { CountingReceiver } from '@otel-resilience/testing';
import { afterEach, expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { PROTOCOLS, useApplications, WAYS } from './application.js';
import { useCollectors } from './fixtures.js';

const RESOURCE_EXHAUSTED = 8;
const KIB = 1024;

describeWithPeer('collector', 'a Collector that refuses what it is sent', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();
  const gateway = new CountingReceiver();
  afterEach(() => gateway.stop());

  it.each(WAYS)('memory_limiter, under load: refused spans wait, none is lost: %s, %s', async (transport, protocol) => {
    const collector = await openCollector({ memoryLimitMib: 24 });
    const application = openApplication({ transport, endpoints: [{ url: collector.urlOf(protocol), protocol }] });
    application.startLoad(2_000, { bytes: 4 * KIB });
    await collector.logged('Refusing data', 2); // so it has recovered in between
    // Stock HTTP repeats within one export, and says nothing of it.
    if (transport === 'otlp') await application.until(({ endpoints }) => endpoints[0]!.counts.failed.retryable > 0);
    application.stopLoad();
    await application.flush();
    const { ended, ...account } = application.account(collector);
    expect(account).toMatchObject({ missing: 0, foreign: 0 });
    expect(account.ledger).toMatchObject({ delivered: ended, waiting: 0, rejected: 0, dropped: {}, balanced: true });
  });

  it.each(PROTOCOLS)(
    'memory_limiter always at its limit: every span waits for another Collector: %s',
    async (protocol) => {
      const collector = await openCollector({ memoryLimitMib: 1 });
      await collector.logged('Refusing data');
      const application = openApplication({
        transport: 'otlp',
        endpoints: [{ url: collector.urlOf(protocol), protocol }],
      });
      application.startLoad(1_000);
      await application.until(({ tiered }) => tiered.spilledSpans > 0);
      application.stopLoad();
      const [endpoint] = application.status().endpoints;
      expect(endpoint!.counts).toMatchObject({ succeeded: 0, failed: { permanent: 0 } });
      expect(endpoint!.counts.failed.retryable).toBeGreaterThan(0);
      expect(collector.spans().spans).toEqual([]);

      await collector.signal('SIGTERM');
      await collector.start();
      await application.flush();
      const { ended, ...account } = application.account(collector);
      expect(account).toMatchObject({ missing: 0, foreign: 0 });
      expect(account.ledger).toMatchObject({ delivered: ended, waiting: 0, rejected: 0, dropped: {}, balanced: true });
    },
  );

  it.each(PROTOCOLS)('memory_limiter at its limit: another Collector takes the spans: %s', async (protocol) => {
    const [full, other] = await Promise.all([openCollector({ memoryLimitMib: 1 }), openCollector()]);
    await full.logged('Refusing data');
    const endpoints = [full, other].map((collector) => ({ url: collector.urlOf(protocol), protocol }));
    const application = openApplication({ transport: 'otlp', endpoints });
    application.end(5_000);
    await application.flush();
    expect(application.account(other)).toMatchObject({
      missing: 0,
      foreign: 0,
      ledger: { ended: 5_000, delivered: 5_000, waiting: 0, rejected: 0, dropped: {}, balanced: true },
    });
    expect(application.status().tiered.spilledSpans).toBe(0);
    expect(full.spans().spans).toEqual([]);
  });

  it.each(PROTOCOLS)('requests over its limit are split until they pass: %s', async (protocol) => {
    const collector = await openCollector({ maxRequestMib: 1 });
    const application = openApplication({
      transport: 'otlp',
      endpoints: [{ url: collector.urlOf(protocol), protocol }],
    });
    application.end(500);
    application.end(100, { bytes: 64 * KIB });
    const tooLarge = application.end(1, { bytes: 1_200 * KIB });
    application.end(500);
    await expect(application.flush()).rejects.toThrow('1 spans were not exported');
    expect(application.account(collector)).toMatchObject({
      missing: tooLarge.size,
      duplicates: 0,
      ledger: { ended: 1_101, delivered: 1_100, rejected: 1, waiting: 0, dropped: {}, balanced: true },
    });
    expect(application.status().endpoints).toMatchObject([{ state: 'closed' }]);
  });

  it.each(PROTOCOLS)('more than a request may be by default, 4 MiB or 20: %s', async (protocol) => {
    const collector = await openCollector();
    const application = openApplication({
      transport: 'otlp',
      endpoints: [{ url: collector.urlOf(protocol), protocol }],
    });
    application.end(400, { bytes: 60 * KIB });
    await application.flush();
    expect(application.account(collector)).toMatchObject({ missing: 0, foreign: 0, duplicates: 0 });
    expect(application.status()).toMatchObject({ balanced: true, totals: { delivered: 400 } });
  });

  it.each(PROTOCOLS)(
    'stock: a request over its limit is rejected and counted, the rest goes on: %s',
    async (protocol) => {
      const collector = await openCollector({ maxRequestMib: 1 });
      const endpoints = [{ url: collector.urlOf(protocol), protocol }];
      const application = openApplication({ transport: 'stock', endpoints });
      const before = application.end(500);
      await application.flush();
      const large = application.end(20, { bytes: 64 * KIB });
      await expect(application.flush()).rejects.toThrow('20 spans were not exported');
      const after = application.end(500);
      await application.flush();
      expect(collector.spans().keys).toEqual(new Set([...before, ...after]));
      expect(application.account(collector)).toMatchObject({
        missing: large.size,
        duplicates: 0,
        ledger: { ended: 1_020, delivered: 1_000, rejected: 20, waiting: 0, dropped: {}, balanced: true },
      });
      expect(application.status().endpoints).toMatchObject([{ state: 'closed', counts: { failed: { permanent: 1 } } }]);
    },
  );

  it.each(PROTOCOLS)('stock: a request over the limit of one Collector goes to the next one: %s', async (protocol) => {
    const [narrow, wide] = await Promise.all([openCollector({ maxRequestMib: 1 }), openCollector()]);
    const endpoints = [narrow, wide].map((collector) => ({ url: collector.urlOf(protocol), protocol }));
    const application = openApplication({ transport: 'stock', endpoints });
    const large = application.end(20, { bytes: 64 * KIB });
    await application.flush();
    const small = application.end(500);
    await application.flush();
    expect(wide.spans().keys).toEqual(large);
    expect(narrow.spans().keys).toEqual(small);
    expect(application.status().totals).toMatchObject({ delivered: 520, rejected: 0, dropped: {} });
  });

  it.each(PROTOCOLS)('throttled by what is behind it: nobody asks before the time it named: %s', async (protocol) => {
    const retryAfterMillis = 1_000;
    const throttle = { kind: 'error', status: RESOURCE_EXHAUSTED, retryAfterMillis } as const;
    gateway.clear();
    gateway.script([throttle, throttle]);
    await gateway.start();
    const collector = await openCollector({ forwardTo: `${gateway.host}:${gateway.port}` });
    const application = openApplication({
      transport: 'otlp',
      endpoints: [{ url: collector.urlOf(protocol), protocol }],
    });
    application.end(500);
    await application.flush();
    expect(gateway.spanIds).toEqual(application.ended);
    const [first, second, third] = gateway.log.map(({ at }) => at);
    expect(Math.min(second! - first!, third! - second!)).toBeGreaterThanOrEqual(retryAfterMillis * 0.95);
    expect(application.status().totals).toMatchObject({ delivered: 500, rejected: 0, dropped: {} });
  });
});
