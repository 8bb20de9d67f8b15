import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
      await expectDelivery(
        openApplication({ transport, endpoints: [{ url: collector.urlOf(protocol), protocol }] }),
        collector,
      );
    },
  );

  it.each(PROTOCOLS)('certificates as options, and gzip: every span arrives: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.mTLS });
    const tls = { ca, cert: certificate('client.pem'), key: certificate('client-key.pem') };
    const endpoint = { url: collector.urlOf(protocol), protocol, tls, compression: 'gzip' } as const;
    await expectDelivery(openApplication({ transport: 'otlp', endpoints: [endpoint] }), collector);
  });

  it.each(PROTOCOLS)('a certificate that has expired is renewed in place: no span is lost: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.mTLS });
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    copyFileSync(certificate('client-expired.pem'), cert);
    copyFileSync(certificate('client-expired-key.pem'), key);
    const endpoint = { url: collector.urlOf(protocol), protocol, tls: { ca, cert, key } };
    const application = openApplication({ transport: 'otlp', endpoints: [endpoint] });
    application.end(500);
    await untilFailed(application);
    copyFileSync(certificate('client.pem'), cert);
    copyFileSync(certificate('client-key.pem'), key);
    await expectDelivery(application, collector);
  });

  it.each(PROTOCOLS)('a Collector that comes back with an expired certificate: spans wait: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.TLS });
    const endpoint = { url: collector.urlOf(protocol), protocol, tls: { ca } };
    const application = openApplication({ transport: 'otlp', endpoints: [endpoint] });
    await expectDelivery(application, collector);
    await collector.signal('SIGTERM');
    await collector.start({ tls: COLLECTOR_TLS.expired });
    application.end(500);
    await untilFailed(application);
    await collector.signal('SIGTERM');
    await collector.start({ tls: COLLECTOR_TLS.TLS });
    await expectDelivery(application, collector);
  });

  it.each(PROTOCOLS)('a Collector that nobody vouches for gets nothing: %s', async (protocol) => {
    const collector = await openCollector({ tls: COLLECTOR_TLS.TLS });
    const endpoint = { url: collector.urlOf(protocol), protocol, tls: { ca: certificate('other-ca.pem') } };
    const application = openApplication({ transport: 'otlp', endpoints: [endpoint] });
    application.end(500);
    await untilFailed(application);
    expect(collector.spans().spans).toEqual([]);
    expect(application.status()).toMatchObject({ balanced: true, totals: { waiting: 500, dropped: {} } });
  });
});

async function untilFailed(application: Application): Promise<void> {
  await application.until(({ endpoints }) => endpoints.every(({ counts }) => counts.failed.retryable > 0));
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
