import type { Socket } from 'node:net';
import { type Clock, systemClock } from '@otel-resilience/core';
import { type Listening, tcpServer } from '../connection/servers.test-support.js';
import type { OtlpAnswer, OtlpRequest } from '../otlp-transport.js';
import type { TransportOptions } from '../transport-options.js';
import { HttpTransport } from './http-transport.js';

const started: HttpTransport[] = [];

/** Shuts down what `transportTo` has made. */
export async function shutdownAll(): Promise<void> {
  await Promise.all(started.splice(0).map((transport) => transport.shutdown()));
}

export function transportTo(port: number, options: Partial<TransportOptions> = {}): HttpTransport {
  const transport = new HttpTransport({
    target: { host: '127.0.0.1', port },
    secure: false,
    authority: `127.0.0.1:${port}`,
    path: '/v1/traces',
    tls: {},
    proxy: undefined,
    connections: 2,
    connectTimeoutMillis: 1_000,
    compression: 'none',
    gzipLevel: 1,
    userAgent: 'otel-resilience-test',
    maxResponseBytes: 64 * 1024,
    keepalive: { tcpMillis: 30_000, idleMillis: 50_000, pingIntervalMillis: 30_000, pingTimeoutMillis: 10_000 },
    clock: systemClock,
    random: () => 0.5,
    ...options,
  });
  started.push(transport);
  return transport;
}

export interface RequestOptions {
  readonly chunks?: readonly Uint8Array[];
  readonly clock?: Clock;
  readonly timeoutMillis?: number;
  readonly signal?: AbortSignal;
  readonly headers?: Record<string, string>;
}

export function otlpRequest(options: RequestOptions = {}): OtlpRequest {
  const { chunks = [Buffer.from('spans')], clock = systemClock, timeoutMillis = 10_000 } = options;
  return {
    chunks,
    byteLength: chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0),
    headers: options.headers ?? {},
    signal: options.signal ?? new AbortController().signal,
    deadline: clock.now() + timeoutMillis,
  };
}

/** What `send` rejects with. */
export async function failureOf(sending: Promise<OtlpAnswer>): Promise<Error & Record<string, unknown>> {
  const answer = await sending.catch((error) => error);
  if (answer instanceof Error) return answer as Error & Record<string, unknown>;
  throw new Error('the request was accepted');
}

/** Calls back at the end of every request's head and body, going by Content-Length; bytes as they came. */
export function rawHttpServer(onRequest: (socket: Socket, request: Buffer) => void): Promise<Listening> {
  return tcpServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(received.toString('latin1', 0, headEnd))?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (received.byteLength < end) return;
      const request = received.subarray(0, end);
      received = received.subarray(end);
      onRequest(socket, request);
    });
  });
}

/** A response as it goes over the wire. */
export const answer = (status: number, body = '', headers: Record<string, string> = {}): string =>
  [
    `HTTP/1.1 ${status} Whatever`,
    ...Object.entries({ 'Content-Length': `${Buffer.byteLength(body)}`, ...headers }).map((pair) => pair.join(': ')),
    '',
    body,
  ].join('\r\n');

export const OK: string = answer(200, '', { 'Content-Type': 'application/x-protobuf' });
