import { type Clock, systemClock } from '@otel-resilience/core';
import type { OtlpAnswer, OtlpRequest } from '../otlp-transport.js';
import type { TransportOptions } from '../transport-options.js';
import { GrpcTransport } from './grpc-transport.js';

const started: GrpcTransport[] = [];

/** Shuts down what `transportTo` has made. */
export async function shutdownAll(): Promise<void> {
  await Promise.all(started.splice(0).map((transport) => transport.shutdown()));
}

export function transportTo(port: number, options: Partial<TransportOptions> = {}): GrpcTransport {
  const transport = new GrpcTransport({
    target: { host: '127.0.0.1', port },
    secure: false,
    authority: `127.0.0.1:${port}`,
    path: '',
    tls: {},
    proxy: undefined,
    connections: 1,
    connectTimeoutMillis: 500,
    compression: 'none',
    gzipLevel: 1,
    userAgent: 'otel-resilience-test',
    maxResponseBytes: 4_096,
    keepalive: { tcpMillis: 30_000, idleMillis: 30_000, pingIntervalMillis: 30_000, pingTimeoutMillis: 10_000 },
    clock: systemClock,
    random: () => 0.5,
    ...options,
  });
  started.push(transport);
  return transport;
}

export interface RequestOptions {
  readonly body?: Uint8Array | readonly Uint8Array[];
  readonly clock?: Clock;
  readonly timeoutMillis?: number;
  readonly signal?: AbortSignal;
  readonly headers?: Record<string, string>;
}

export function request(options: RequestOptions = {}): OtlpRequest {
  const { body = Buffer.from('spans'), clock = systemClock, timeoutMillis = 10_000 } = options;
  const chunks: readonly Uint8Array[] = body instanceof Uint8Array ? [body] : body;
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
  throw new Error('the call was accepted');
}
