import { expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { useApplications, WAYS } from './application.js';
import { useCollectors } from './fixtures.js';

const OPEN_MILLIS = 1_000;

describeWithPeer('collector', 'two Collectors, one of which dies under load', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();

  it.each(WAYS)(
    'the other one takes over, the preferred one gets its work back, no span is lost: %s, %s',
    async (transport, protocol) => {
      const [a, b] = await Promise.all([openCollector(), openCollector()]);
      const application = openApplication({
        transport,
        endpoints: [
          { name: 'a', url: a.urlOf(protocol), protocol },
          { name: 'b', url: b.urlOf(protocol), protocol },
        ],
        circuitBreaker: { openMillis: OPEN_MILLIS }, // 30 s by default: longer than a test should wait
      });
      const countsOf = (name: string) => application.status().endpoints.find((one) => one.name === name)!.counts;
      application.startLoad(2_000);
      await application.until(() => countsOf('a').deliveredSpans > 0);
      expect(countsOf('b').attempts).toBe(0);

      await a.signal('SIGKILL');
      const killedAt = performance.now();
      await application.until(() => countsOf('b').deliveredSpans > 0);
      const takenOverMillis = Math.round(performance.now() - killedAt);
      await application.until(() => countsOf('b').deliveredSpans > 2_000);
      await a.start();
      const restartedAt = performance.now();
      const { deliveredSpans } = countsOf('a');
      await application.until(() => countsOf('a').deliveredSpans > deliveredSpans, 20_000);
      const takenBackMillis = Math.round(performance.now() - restartedAt);
      application.stopLoad();
      await application.flush();

      const account = application.account(a, b);
      const { spilledSpans } = application.status().tiered;
      const figures = { takenOverMillis, takenBackMillis, spilledSpans, ...account };
      console.log(`${transport}, ${protocol}: ${JSON.stringify(figures)}`);
      const { ended } = account;
      expect(account).toMatchObject({ missing: 0, foreign: 0 });
      expect(account.ledger).toMatchObject({ delivered: ended, waiting: 0, rejected: 0, dropped: {}, balanced: true });
      expect(b.spans().keys.size).toBeGreaterThan(2_000);
      expect(a.spans().spans.length + b.spans().spans.length).toBe(ended + account.duplicates);
    },
  );
});
