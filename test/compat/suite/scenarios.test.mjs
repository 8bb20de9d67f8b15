import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AppProcess, SCENARIO } from './app-process.mjs';
import { expectCleanExit } from './expect.mjs';
import { missing, openSite } from './site.mjs';

const run = async (entry, scenario, env) => {
  const report = await new AppProcess(entry, { args: [scenario], env }).end();
  expectCleanExit(report);
  return report;
};

describe('scenarios', { concurrency: 3 }, () => {
  for (const [flavour, entry] of Object.entries(SCENARIO)) {
    for (const protocol of ['grpc', 'http/protobuf']) {
      it(`${flavour}: our layers around stock ${protocol} exporters, in a stock BatchSpanProcessor`, async (t) => {
        const a = await openSite(t, { protocol });
        const b = await openSite(t, { protocol });
        await a.proxy.refuse();
        const path = protocol === 'grpc' ? '' : '/v1/traces';
        const env = { PROTOCOL: protocol, ENDPOINTS: [a, b].map(({ url }) => url + path).join() };
        const { sampledKeys, endpoints } = await run(entry, 'stock-batch', env);

        assert.equal(sampledKeys.length, 1_000);
        assert.equal(missing(sampledKeys, b), 0);
        assert.equal(endpoints[1].counts.deliveredSpans, 1_000);
      });
    }

    for (const protocol of ['grpc', 'http/protobuf']) {
      it(`${flavour}: OtlpSpanExporter over ${protocol} in a stock BatchSpanProcessor, and in NodeSDK alone`, async (t) => {
        const site = await openSite(t, { protocol });
        const env = { PROTOCOL: protocol, ENDPOINTS: site.url };
        const { sampledKeys } = await run(entry, 'stock-otlp', env);

        assert.equal(sampledKeys.length, 3_000);
        assert.equal(missing(sampledKeys, site), 0);
      });

      it(`${flavour}: our transport over ${protocol} is never traced`, async (t) => {
        const site = await openSite(t, { protocol, keepSpans: true });
        const { status } = await run(entry, 'untraced-transport', { PROTOCOL: protocol, ENDPOINTS: site.url });

        assert.deepEqual(
          site.receiver.spans.map(({ name }) => name),
          ['request of the application'],
        );
        assert.equal(status.totals.ended, 1);
      });
    }

    it(`${flavour}: spans wait for resource attributes that come late`, async (t) => {
      const site = await openSite(t, { keepSpans: true });
      const { status, warnings } = await run(entry, 'async-resource', { ENDPOINTS: site.url });

      const [span] = site.receiver.spans;
      assert.equal(span?.resource.attributes['compat.late'], 'here');
      assert.equal(span?.resource.attributes['compat.early'], 'here');
      assert.equal(status.totals.delivered, 1);
      assert.deepEqual(warnings, []);
    });

    it(`${flavour}: what one application leaves on disk, the next one sends`, async (t) => {
      const site = await openSite(t);
      const DIRECTORY = await mkdtemp(join(tmpdir(), 'otel-resilience-compat-'));
      t.after(() => rm(DIRECTORY, { recursive: true }));
      await site.proxy.refuse();
      const first = await run(entry, 'disk-spool', { ENDPOINTS: site.url, DIRECTORY, SPANS: '500' });
      assert.equal(first.status.totals.waiting, 500);
      assert.equal(site.receiver.spanIds.size, 0);

      await site.proxy.heal();
      const { status } = await run(entry, 'disk-spool', { ENDPOINTS: site.url, DIRECTORY });
      assert.equal(missing(first.sampledKeys, site), 0);
      assert.equal(status.totals.recovered, 500);
      assert.equal(status.lostToCrash, undefined);
    });

    it(`${flavour}: the application's requests are traced, our exports never`, async (t) => {
      const site = await openSite(t, { protocol: 'http/protobuf', keepSpans: true });
      const { suppressed, calls, status } = await run(entry, 'suppression', { ENDPOINTS: site.url });

      assert.deepEqual(site.receiver.spans.map(({ name }) => name).sort(), ['GET', 'request of the application']);
      assert.ok(calls > 4, `${calls} calls`);
      assert.ok(suppressed.length > calls && suppressed.every(Boolean), JSON.stringify(suppressed));
      assert.equal(status.totals.ended, 2);
    });
  }

  it('ES modules and CommonJS in one process: each knows the exporters of the other', async (t) => {
    const site = await openSite(t, { protocol: 'http/protobuf' });
    const report = await run(SCENARIO.ESM, 'both-formats', { ENDPOINTS: site.url });

    const { twoCopies, recognised, notAdapted, ownBreaker, deliveredByTheOther, refusal, sampledKeys, status } = report;
    assert.deepEqual(
      { twoCopies, recognised, notAdapted, ownBreaker, deliveredByTheOther, refusal },
      {
        twoCopies: true,
        recognised: [true, true, true],
        notAdapted: [true, true],
        ownBreaker: ['closed'],
        deliveredByTheOther: 1,
        refusal: 'refused',
      },
    );
    assert.equal(missing(sampledKeys, site), 0);
    assert.equal(status.totals.delivered, 1);
  });
});
