import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppProcess, FLAVOURS } from './app-process.mjs';
import { expectCleanExit, expectNothingLost } from './expect.mjs';
import { openSite } from './site.mjs';

const run = async (env, entry = FLAVOURS.ESM) => {
  const report = await new AppProcess(entry, { env }).end();
  expectCleanExit(report);
  return report;
};

describe('the standard environment variables', { concurrency: 2 }, () => {
  it('OTEL_TRACES_SAMPLER=traceidratio: half of the traces arrive, and those are accounted for', async (t) => {
    const site = await openSite(t);
    const env = {
      ENDPOINTS: site.url,
      SPANS: '1000',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.5',
    };
    const report = await run(env);

    const { length } = report.sampledKeys;
    assert.ok(length > 400 && length < 600, `${length} of 1000 sampled`); // six standard deviations
    expectNothingLost(report, site);
    assert.equal(report.status.totals.unsampled, 1_000 - length);
    assert.equal(site.receiver.spanIds.size, length);
  });

  it('OTEL_TRACES_SAMPLER=always_off: nobody is called', async (t) => {
    const site = await openSite(t);
    const report = await run({ ENDPOINTS: site.url, SPANS: '100', OTEL_TRACES_SAMPLER: 'always_off' });

    assert.equal(report.status.totals.ended, 0);
    assert.equal(site.proxy.snapshot().acceptedConnections, 0);
  });

  it('OTEL_BSP_*: queue, batch, delay and timeout', async (t) => {
    const site = await openSite(t);
    const app = new AppProcess(FLAVOURS.CommonJS, {
      env: {
        ENDPOINTS: site.url,
        OTEL_BSP_MAX_QUEUE_SIZE: '3000',
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '40',
        OTEL_BSP_SCHEDULE_DELAY: '150',
        OTEL_BSP_EXPORT_TIMEOUT: '7000',
      },
    });
    t.after(() => app.kill());
    await app.until('some batches have arrived', () => site.receiver.requests > 10);
    const report = await app.stop();

    assert.equal(report.status.processor.queue.maxSpans, 3_000);
    assert.ok(report.status.processor.batchWaitMillis <= 150);
    assert.ok(site.receiver.log.every(({ spanCount }) => spanCount <= 40));
    expectNothingLost(report, site);
    expectCleanExit(report);
  });

  for (const TRANSPORT of ['otlp', 'stock']) {
    it(`OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, and gRPC without a word about it (${TRANSPORT})`, async (t) => {
      const site = await openSite(t, { protocol: 'grpc' });
      const seen = watchHeaders(site, 'x-tenant');
      const report = await run({
        TRANSPORT,
        SPANS: '100',
        OTEL_EXPORTER_OTLP_ENDPOINT: site.url,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=blue',
      });

      expectNothingLost(report, site);
      assert.deepEqual([...seen], ['blue']);
    });

    it(`OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, with the path added to _ENDPOINT (${TRANSPORT})`, async (t) => {
      const site = await openSite(t, { protocol: 'http/protobuf' });
      const seen = watchHeaders(site, 'x-tenant');
      const report = await run({
        TRANSPORT,
        SPANS: '100',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
        OTEL_EXPORTER_OTLP_ENDPOINT: site.url,
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-tenant=green',
      });

      expectNothingLost(report, site);
      assert.deepEqual([...seen], ['green']);
    });

    it(`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and _TRACES_PROTOCOL come before the general ones (${TRANSPORT})`, async (t) => {
      const general = await openSite(t, { protocol: 'grpc' });
      const traces = await openSite(t, { protocol: 'http/protobuf' });
      const report = await run(
        {
          TRANSPORT,
          SPANS: '100',
          OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
          OTEL_EXPORTER_OTLP_ENDPOINT: general.url,
          OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
          OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces.receiver.tracesUrl,
        },
        FLAVOURS.TypeScript,
      );

      expectNothingLost(report, traces);
      assert.equal(general.receiver.requests, 0);
    });
  }

  it('code comes before the environment', async (t) => {
    const coded = await openSite(t);
    const named = await openSite(t);
    const report = await run({ SPANS: '50', ENDPOINTS: coded.url, OTEL_EXPORTER_OTLP_ENDPOINT: named.url });

    expectNothingLost(report, coded);
    assert.equal(named.receiver.requests, 0);
  });
});

/** The values a header has had, filled while requests come. */
function watchHeaders({ receiver }, name) {
  const seen = new Set();
  receiver.respond(({ headers }) => {
    seen.add(headers[name]);
    return { kind: 'success' };
  });
  return seen;
}
