import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { type Application, PROTOCOLS, useApplications, WAYS } from './application.js';
import type { CollectorProcess } from './collector-process.js';
import { useCollectors } from './fixtures.js';

const SPANS_PER_SECOND = 2_000;
const KILLS = 3;

describeWithPeer('collector', 'a Collector that goes away in mid-stream, under load', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();

  it.each(WAYS)(`killed ${KILLS} times, and restarted: every span arrives: %s, %s`, async (transport, protocol) => {
    const collector = await openCollector();
    const application = openApplication({ transport, endpoints: [{ url: collector.urlOf(protocol), protocol }] });
    const firstSuccessMillis: number[] = [];
    application.startLoad(SPANS_PER_SECOND);
    await untilMoreIsDelivered(application);
    for (let kill = 0; kill < KILLS; kill++) {
      await collector.signal('SIGKILL');
      await untilBehind(application, 2_000);
      await collector.start();
      firstSuccessMillis.push(await untilMoreIsDelivered(application));
    }
    await expectAll(application, collector, { firstSuccessMillis });
  });

  it.each(PROTOCOLS.flatMap((protocol) => [['SIGTERM', protocol] as const, ['SIGSTOP', protocol] as const]))(
    'every span arrives: %s, %s',
    async (fault, protocol) => {
      const collector = await openCollector();
      const endpoints = [{ url: collector.urlOf(protocol), protocol }];
      const application = openApplication({ transport: 'otlp', endpoints });
      application.startLoad(SPANS_PER_SECOND);
      await untilMoreIsDelivered(application);
      await collector.signal(fault);
      await untilBehind(application, 3 * SPANS_PER_SECOND);
      if (fault === 'SIGSTOP') await collector.signal('SIGCONT');
      else await collector.start();
      await expectAll(application, collector, { firstSuccessMillis: await untilMoreIsDelivered(application) });
    },
  );
});

/** Returns how long it took. */
async function untilMoreIsDelivered(application: Application): Promise<number> {
  const { delivered } = application.status().totals;
  const startedAt = performance.now();
  await application.until(({ totals }) => totals.delivered > delivered);
  return Math.round(performance.now() - startedAt);
}

async function untilBehind(application: Application, spans: number): Promise<void> {
  await application.until(({ totals }) => totals.waiting > spans);
}

async function expectAll(application: Application, collector: CollectorProcess, figures: object): Promise<void> {
  await wait(300); // of load with everything well
  application.stopLoad();
  await application.flush();
  const account = application.account(collector);
  console.log(expect.getState().currentTestName?.split(' > ').at(-1), JSON.stringify({ ...figures, ...account }));
  const { ended } = account;
  expect(account).toMatchObject({
    missing: 0,
    foreign: 0,
    ledger: { ended, delivered: ended, waiting: 0, rejected: 0, dropped: {}, balanced: true },
  });
}
