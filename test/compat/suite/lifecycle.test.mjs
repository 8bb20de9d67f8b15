import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppProcess, FLAVOURS } from './app-process.mjs';
import { expectCleanExit, expectNothingLost } from './expect.mjs';
import { openSite } from './site.mjs';

describe('start and end', { concurrency: 2 }, () => {
  for (const [flavour, entry] of Object.entries(FLAVOURS)) {
    it(`${flavour}: with OTEL_SDK_DISABLED=true nothing starts`, async (t) => {
      const site = await openSite(t);
      const env = { ENDPOINTS: site.url, SPANS: '100', OTEL_SDK_DISABLED: 'true' };
      const report = await new AppProcess(entry, { env }).end();

      assert.equal(report.status.disabled, true);
      assert.equal(report.status.totals.ended, 0);
      assert.equal(site.proxy.snapshot().acceptedConnections, 0);
      expectCleanExit(report);
    });
  }

  it('a short program loses nothing: it is over before the first batch is due', async (t) => {
    const site = await openSite(t);
    const env = { ENDPOINTS: site.url, SPANS: '50', OTEL_BSP_SCHEDULE_DELAY: '60000' };
    const report = await new AppProcess(FLAVOURS.ESM, { env }).end();

    expectNothingLost(report, site);
    assert.ok(report.shutdownMillis < 9_000, `shutdown took ${report.shutdownMillis} ms`);
    expectCleanExit(report);
  });

  for (const { transport, protocol } of [
    { transport: 'stock', protocol: 'grpc' },
    { transport: 'otlp', protocol: 'grpc' },
    { transport: 'otlp', protocol: 'http/protobuf' },
  ]) {
    it(`a program that never calls shutdown is not kept alive (${protocol}, ${transport})`, async (t) => {
      const site = await openSite(t, { protocol });
      const env = {
        ENDPOINTS: site.url,
        TRANSPORT: transport,
        SPANS: '50',
        SHUTDOWN: 'never',
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_BSP_SCHEDULE_DELAY: '10', // so that there are connections
      };
      expectCleanExit(await new AppProcess(FLAVOURS.CommonJS, { env }).end());
    });
  }

  // The stock HTTP exporter goes on retrying after its own shutdown, on timers that keep the process alive.
  for (const { transport, protocol, timeoutMillis, exitMillis } of [
    { transport: 'stock', protocol: 'grpc', timeoutMillis: 10_000, exitMillis: 3_000 },
    { transport: 'stock', protocol: 'http/protobuf', timeoutMillis: 2_000, exitMillis: 5_000 },
    { transport: 'otlp', protocol: 'grpc', timeoutMillis: 10_000, exitMillis: 3_000 },
    { transport: 'otlp', protocol: 'http/protobuf', timeoutMillis: 10_000, exitMillis: 3_000 },
  ]) {
    it(`every collector dead (${protocol}, ${transport}): shutdown ends in time, the process too, the loss is counted`, async (t) => {
      const site = await openSite(t, { protocol });
      await site.proxy.refuse();
      const env = {
        ENDPOINTS: site.url,
        TRANSPORT: transport,
        SPANS: '50',
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_TIMEOUT: String(timeoutMillis),
      };
      const report = await new AppProcess(FLAVOURS.ESM, { env }).end();

      const { balanced, totals } = report.status;
      const dropped = Object.values(totals.dropped).reduce((sum, spans) => sum + spans, 0);
      assert.deepEqual({ balanced, ended: totals.ended, dropped }, { balanced: true, ended: 50, dropped: 50 });
      assert.ok(report.shutdownMillis < 11_000, `shutdown took ${report.shutdownMillis} ms`);
      expectCleanExit(report, exitMillis);
    });
  }
});
