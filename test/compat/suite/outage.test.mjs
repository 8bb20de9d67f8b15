import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppProcess, FLAVOURS } from './app-process.mjs';
import { expectCleanExit, expectNothingLost } from './expect.mjs';
import { openSite } from './site.mjs';

const WAYS = ['otlp', 'stock'].flatMap((transport) =>
  ['grpc', 'http/protobuf'].map((protocol) => ({ transport, protocol })),
);

for (const { transport, protocol } of WAYS) {
  describe(`over ${protocol}, by ${transport}`, { concurrency: 3 }, () => {
    for (const [flavour, entry] of Object.entries(FLAVOURS)) {
      it(`${flavour}: A dies, both die, both come back: every span arrives, and shutdown is enough`, async (t) => {
        const a = await openSite(t, { protocol });
        const b = await openSite(t, { protocol });
        const app = new AppProcess(entry, {
          env: {
            ENDPOINTS: [a.url, b.url].join(),
            TRANSPORT: transport,
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_BSP_SCHEDULE_DELAY: '200', // the same, only faster
          },
        });
        t.after(() => app.kill());

        await app.until('A delivers', () => a.receiver.receivedSpans > 0);
        await a.proxy.refuse();
        await app.until('B delivers', () => b.receiver.receivedSpans > 0);
        await b.proxy.refuse();
        await app.until('spans wait in the spool', ({ tiered }) => tiered.spool.waiting > 0);
        await a.proxy.heal();
        await b.proxy.heal();
        await app.until('the spool is empty', ({ tiered }) => tiered.spool.waiting === 0);
        const report = await app.stop();

        expectNothingLost(report, a, b);
        assert.ok(report.status.tiered.replayedSpans > 0);
        expectCleanExit(report);
      });
    }
  });
}
