import { type Clock, classifyFailure, systemClock } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { until } from '../connection/servers.test-support.js';
import type { OtlpAnswer, OtlpRequest } from '../otlp-transport.js';
import type { TransportOptions } from '../transport-options.js';
import { RawServer, type RawServerOptions, type RawStream } from './frames.test-support.js';
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

/** A server that leaves calls unanswered, and a transport whose time stands still, after a first call that went well. */
export async function warmedUp(options: RawServerOptions = {}) {
  const clock = new VirtualClock();
  const open: RawStream[] = [];
  let first = true;
  const server = await RawServer.start({
    windows: false, // so that it sends nothing by itself
    ...options,
    onRequest: (stream) => {
      if (first) stream.accept();
      else open.push(stream);
      first = false;
    },
  });
  const transport = transportTo(server.port, { clock });
  const send = (timeoutMillis?: number) => transport.send(request({ clock, timeoutMillis }));
  await send();
  /** A call that has reached the server. */
  const begin = async (timeoutMillis?: number) => {
    const before = open.length;
    const sending = send(timeoutMillis);
    sending.catch(() => {});
    await until(() => open.length > before);
    return { sending, stream: open.at(-1)! };
  };
  const connections = () => server.connections.length;
  return { clock, server, transport, send, begin, open, connections };
}

/** What one call to a server that answers like this comes to. */
export async function failing(onRequest: (stream: RawStream) => void) {
  const server = await RawServer.start({ onRequest });
  const error = await failureOf(transportTo(server.port).send(request()));
  const { failure, retryAfterMillis } = classifyFailure(error);
  return { error, failure, retryAfterMillis, requests: server.streams.length };
}
