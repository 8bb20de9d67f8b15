import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../../../packages/otlp/test-fixtures/tls/', import.meta.url);

/** A file of the certificates that are there for tests; their README says what each is. */
export const certificate = (name: string): string => fileURLToPath(new URL(name, FOLDER));

const server = { cert_file: certificate('server.pem'), key_file: certificate('server-key.pem') };

/** Of a Collector, by what its clients need. */
export const COLLECTOR_TLS = {
  TLS: server,
  mTLS: { ...server, client_ca_file: certificate('ca.pem') },
  expired: { cert_file: certificate('server-expired.pem'), key_file: certificate('server-expired-key.pem') },
} as const;
