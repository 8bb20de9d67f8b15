import { type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '@otel-resilience/core';

export interface HttpRequest {
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly chunks: readonly Uint8Array[];
}

export interface ExchangeOptions {
  /** More of a body is not read. */
  readonly maxResponseBytes: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** As far as it came: `complete` says whether that is all of it. */
  readonly body: Buffer;
  readonly complete: boolean;
}

// Heads of OTLP servers have some hundred bytes.
const MAX_HEAD_BYTES = 16 * 1024;

/**
 * How long the body may take once the head has come, in milliseconds. The status has decided by then: a server that
 * drips or hangs must not turn what it has accepted into a timeout, and so into duplicates.
 */
const BODY_MILLIS = 1_000;

/**
 * One POST over a connection, and its answer: resolves as soon as there is a whole response, or its status at least.
 * Rejects when there is none: with the connection's or the parser's error, or the signal's reason. Never follows a
 * redirect, which might be to somebody who must not see the headers. A connection that cannot serve another request is
 * destroyed.
 */
export function exchange(socket: Socket, sent: HttpRequest, options: ExchangeOptions): Promise<HttpResponse> {
  const { signal, clock, maxResponseBytes } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    // Its `close` has been emitted, and will not come again.
    if (socket.destroyed) throw closedEarly();
    const posting = post(socket, sent);
    const body: Buffer[] = [];
    let bodyBytes = 0;
    let response: IncomingMessage | undefined;
    let timer: Timer | undefined;
    let settled = false;

    const settle = (error: unknown, complete = false) => {
      if (settled) return;
      settled = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      // What has not been written yet is of no use any more.
      if (!complete || !posting.writableFinished || !posting.shouldKeepAlive) socket.destroy();
      if (!response) {
        reject(error);
        return;
      }
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, body: join(body), complete });
    };
    const onAbort = () => settle(signal.reason);

    signal.addEventListener('abort', onAbort, { once: true });
    posting.on('response', (received) => {
      response = received;
      // The body nearly always comes with the head: then no timer is needed.
      setImmediate(() => {
        if (!settled) timer = clock.setTimeout(() => settle(undefined), BODY_MILLIS);
      });
      received.on('data', (chunk: Buffer) => {
        bodyBytes += chunk.byteLength;
        if (bodyBytes <= maxResponseBytes) body.push(chunk);
        else settle(undefined);
      });
      received.on('end', () => {
        // Otherwise the connection is ready for another request, but only at `close`.
        if (!posting.writableFinished || !posting.shouldKeepAlive) settle(undefined, received.complete);
      });
      received.on('error', settle);
    });
    posting.on('error', settle);
    posting.on('close', () => settle(response ? undefined : closedEarly(), response?.complete));
  });
}

function post(socket: Socket, { path, headers, chunks }: HttpRequest): ClientRequest {
  const posting = request({
    method: 'POST',
    path,
    headers,
    createConnection: () => socket,
    maxHeaderSize: MAX_HEAD_BYTES,
  });
  // One system call for the head and all chunks, as far as the kernel takes them.
  posting.cork();
  for (const chunk of chunks) posting.write(chunk);
  posting.end();
  return posting;
}

const join = (chunks: readonly Buffer[]): Buffer => (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));

const closedEarly = () =>
  Object.assign(new Error('the connection was closed before a response came'), { code: 'ECONNRESET' });
