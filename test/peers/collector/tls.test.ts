import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OtlpEndpoint } from '@otel-resilience/node';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { type Application, PROTOCOLS, useApplications, WAYS } from './application.js';
import { COLLECTOR_TLS, certificate } from './certificates.js';
import type { CollectorProcess } from './collector-process.js';
import { useCollectors } from './fixtures.js';

const ca = certificate('ca.pem');

describeWithPeer('collector', 'a Collector with TLS', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'otel-resilience-certificates-'));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  const kinds = ['TLS', 'mTLS'] as const;
  it.each(WAYS.flatMap((way) => kinds.map((kind) => [kind, ...way] as const)))(
    'certificates from the environment: every span arrives: %s, %s, %s',
    async (kind, transport, protocol) => {
      const collector = await openCollector({ tls: COLLECTOR_TLS[kind] });
      vi.stubEnv('OTEL_EXPORTER_OTLP_CERTIFICATE', ca);
      if (kind === 'mTLS') {
        vi.stubEnv('OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE', certificate('client.pem'));
        vi.stubEnv('OTEL_EXPORTER_OTLP_CLIENT_KEY', certificate('client-key.pem'));
      }
      const endpoints = [{ url: collector.urlOf(protocol), protocol }];
      await expectDelivery(openApplication({ transport, endpoints }), collector);
    },
  );

  it.each(PROTOCOLS)('certificates as options, and gzip: every span arrives: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.mTLS });
    const tls = { ca, cert: certificate('client.pem'), key: certificate('client-key.pem') };
    const endpoint = { url: collector.urlOf(protocol), protocol, tls, compression: 'gzip' } as const;
    await expectDelivery(openOurs(endpoint), collector);
  });

  it.each(PROTOCOLS)('our certificate has expired: spans wait until it is renewed in place: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.mTLS });
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    copyFileSync(certificate('client-expired.pem'), cert);
    copyFileSync(certificate('client-expired-key.pem'), key);
    const application = openOurs({ url: collector.urlOf(protocol), protocol, tls: { ca, cert, key } });
    await expectRefusal(application, collector, /certificate expired/);
    copyFileSync(certificate('client.pem'), cert);
    copyFileSync(certificate('client-key.pem'), key);
    await expectDelivery(application, collector);
  });

  it.each(PROTOCOLS)('nobody vouches for the Collector: spans wait until somebody does: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.TLS });
    const trusted = join(folder, 'ca.pem');
    copyFileSync(certificate('other-ca.pem'), trusted);
    const application = openOurs({ url: collector.urlOf(protocol), protocol, tls: { ca: trusted } });
    await expectRefusal(application, collector, /unable to verify/);
    copyFileSync(ca, trusted);
    await expectDelivery(application, collector);
  });

  it.each(PROTOCOLS)('the Collector comes back with an expired certificate: spans wait: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.TLS });
    const application = openOurs({ url: collector.urlOf(protocol), protocol, tls: { ca } });
    await expectDelivery(application, collector);
    await collector.signal('SIGTERM');
    await collector.start({ tls: COLLECTOR_TLS.expired });
    await expectRefusal(application, collector, /certificate has expired/);
    await collector.signal('SIGTERM');
    await collector.start({ tls: COLLECTOR_TLS.TLS });
    await expectDelivery(application, collector);
  });

  function openOurs(endpoint: OtlpEndpoint): Application {
    return openApplication({ transport: 'otlp', endpoints: [endpoint], processor: { scheduledDelayMillis: 100 } });
  }
});

/** Spans wait, and the status says why. */
async function expectRefusal(application: Application, collector: CollectorProcess, why: RegExp): Promise<void> {
  const before = collector.spans().spans;
  application.end(500);
  await application.until(({ tiered }) => tiered.spilledSpans > 0);
  expect(collector.spans().spans).toEqual(before);
  const status = application.status();
  expect(status).toMatchObject({ balanced: true, totals: { waiting: 500, rejected: 0, dropped: {} } });
  expect(status.endpoints[0]!.lastFailure!.message).toMatch(why);
}

/** Of what has ended by now, and more. */
async function expectDelivery(application: Application, collector: CollectorProcess): Promise<void> {
  application.end(2_000);
  await application.flush();
  const { ended, ...account } = application.account(collector);
  expect(account).toMatchObject({
    missing: 0,
    foreign: 0,
    duplicates: 0,
    ledger: { ended, delivered: ended, waiting: 0, rejected: 0, dropped: {}, balanced: true },
  });
}
