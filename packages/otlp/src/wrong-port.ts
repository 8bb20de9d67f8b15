import type { OtlpProtocol } from './endpoint-url.js';

const IS = {
  tls: 'perhaps the port has TLS: use https://',
  plain: 'perhaps the port has no TLS: use http://',
  plainProxy: "perhaps the proxy's port has no TLS: use http:// for it",
  grpc: "perhaps the port is for gRPC: set protocol: 'grpc' (usually port 4317)",
  http: "perhaps the port is for OTLP over HTTP: set protocol: 'http/protobuf' (usually port 4318)",
} as const;

interface Symptom {
  readonly code?: unknown;
  readonly message?: unknown;
  /** Of Node's HTTP parser: what it could not read. */
  readonly rawPacket?: unknown;
}

/** What was expected of the port. */
interface Expected {
  readonly protocol: OtlpProtocol;
  readonly secure: boolean;
}

/** What a failed TLS handshake says of the port: `''` if nothing. */
export function afterTls(error: unknown, { ofProxy = false } = {}): string {
  const { code, message } = error as Symptom;
  const said = `${code} ${message}`.replaceAll('_', ' ');
  if (/wrong version number|packet length too long|http request/i.test(said)) return ofProxy ? IS.plainProxy : IS.plain;
  // Only gRPC asks for a protocol that a server may lack.
  return /no application protocol/i.test(said) ? IS.http : '';
}

/**
 * What the end of a connection, or the first bytes that came over it, say of the port: `''` if nothing. A connection
 * that ends without a byte is what a TLS server does to plain text, and a gRPC server to who has not asked for HTTP/2.
 */
export function afterConnecting(error: unknown, { protocol, secure }: Expected): string {
  const { code, rawPacket } = error as Symptom;
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    if (!secure) return IS.tls;
    return protocol === 'grpc' ? '' : IS.grpc;
  }
  if (protocol === 'grpc') return code === 'ERR_HTTP2_ERROR' || code === 'ERR_NO_HTTP2' ? IS.http : '';
  if (typeof code !== 'string' || !code.startsWith('HPE_')) return '';
  if (!(rawPacket instanceof Uint8Array)) return '';
  if (rawPacket[0] === TLS_ALERT) return IS.tls;
  return rawPacket[3] === HTTP2_SETTINGS || rawPacket[3] === HTTP2_GOAWAY ? IS.grpc : '';
}

/** What an answer says of the port: of an HTTP server by its text, to a gRPC call by its status. `''` if nothing. */
export function afterAnswer(protocol: OtlpProtocol, status: number, said = ''): string {
  // A path that is not there, a method or a media type that is not allowed, a web page.
  if (protocol === 'grpc') return [200, 404, 405, 415].includes(status) ? IS.http : '';
  if (/\bHTTP request (?:was sent )?to (?:an )?HTTPS/i.test(said)) return IS.tls; // Go, nginx
  return status === 403 && /\bALPN\b.*\bh2\b/.test(said) ? IS.grpc : ''; // Node
}

/** A message, with what is perhaps the reason. */
export const withReason = (message: string, reason: string): string => (reason ? `${message}; ${reason}` : message);

const TLS_ALERT = 0x15;
/** The type of the first frame that an HTTP/2 server sends, or of the one by which it says that it will not. */
const HTTP2_SETTINGS = 4;
const HTTP2_GOAWAY = 7;
