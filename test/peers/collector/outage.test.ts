import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { useApplications } from './application.js';
import { useCollectors } from './fixtures.js';

const SPANS_PER_SECOND = 2_000;
const OUTAGE_MILLIS = 3_000;

describeWithPeer('collector', 'a Collector that is away for a while, under load', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();

  it.each([
    ['SIGKILL', 'grpc'],
    ['SIGKILL', 'http/protobuf'],
    ['SIGTERM', 'grpc'],
    ['SIGTERM', 'http/protobuf'],
    ['SIGSTOP', 'grpc'],
    ['SIGSTOP', 'http/protobuf'],
  ] as const)('every span arrives: %s, %s', async (fault, protocol) => {
    const collector = await openCollector();
    const application = openApplication({ endpoints: [{ url: collector.urlOf(protocol), protocol }] });
    application.startLoad(SPANS_PER_SECOND);
    await application.until(({ totals }) => totals.delivered > 0);
    await collector.signal(fault);
    await wait(OUTAGE_MILLIS);
    const before = application.status().totals.delivered;
    if (fault === 'SIGSTOP') await collector.signal('SIGCONT');
    else await collector.start();
    const backAt = performance.now();
    await application.until(({ totals }) => totals.delivered > before);
    const firstSuccessMillis = Math.round(performance.now() - backAt);
    await wait(500);
    application.stopLoad();
    await application.flush();

    const account = application.account(collector);
    console.log(`${fault}, ${protocol}: first success after ${firstSuccessMillis} ms`, JSON.stringify(account));
    const { ended } = account;
    expect(ended).toBeGreaterThan((SPANS_PER_SECOND * OUTAGE_MILLIS) / 1_000);
    expect(account).toMatchObject({ missing: 0, foreign: 0 });
    expect(account.ledger).toMatchObject({
      ended,
      delivered: ended,
      waiting: 0,
      rejected: 0,
      dropped: {},
      balanced: true,
    });
  });
});
