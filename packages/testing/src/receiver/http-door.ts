import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createGunzip } from 'node:zlib';
import { closeServer, listenOn, track } from '../listening.js';
import { resetNow } from '../reset-now.js';
import type { Door, TakeIn } from './door.js';
import { RESPONSE } from './otlp-descriptor.js';
import type { ReceiverAnswer } from './receiver-answer.js';

const TRACES_PATH = '/v1/traces';
// Each chunk is a trip to the thread pool and back.
const GUNZIP_CHUNK_BYTES = 256 * 1024;
const FORMATS = { 'application/x-protobuf': 'protobuf', 'application/json': 'json' } as const;

/** OTLP/HTTP: POST /v1/traces, protobuf or JSON, plain or gzip. */
export class HttpDoor implements Door {
  private readonly takeIn: TakeIn;
  private readonly maxRequestBytes: number;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor(takeIn: TakeIn, maxRequestBytes: number) {
    this.takeIn = takeIn;
    this.maxRequestBytes = maxRequestBytes;
    // Without its own timeouts: a client's fault is the client's to notice.
    this.server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
    this.server.on('connection', (socket) => track(this.sockets, socket));
    this.server.on('request', (request, response) => {
      this.serve(request, response).catch(() => request.socket.destroy());
    });
  }

  listen(port: number, host: string): Promise<number> {
    return listenOn(this.server, port, host);
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  close(): Promise<void> {
    const closed = closeServer(this.server);
    for (const socket of this.sockets) resetNow(socket);
    return closed;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const type = request.headers['content-type']?.split(';')[0]?.trim() as keyof typeof FORMATS;
    if (request.url !== TRACES_PATH) return end(response, 404);
    if (request.method !== 'POST') return end(response, 405, { allow: 'POST' });
    if (!Object.hasOwn(FORMATS, type)) return end(response, 415);
    const body = await this.read(request);
    if (body === 'tooLarge') return end(response, 413);
    if (body === 'undecodable') return end(response, 400);
    const format = FORMATS[type];
    const answer = await this.takeIn({ body, format, headers: flatten(request) });
    if (response.destroyed) return;
    this.write(answer, response, type);
  }

  private write(answer: ReceiverAnswer, response: ServerResponse, type: keyof typeof FORMATS): void {
    if (answer.kind === 'never') return;
    if (answer.kind === 'reset') {
      if (response.socket) resetNow(response.socket);
      return;
    }
    if (answer.thenClose) response.shouldKeepAlive = false;
    if (answer.kind === 'error') {
      const headers: Record<string, string> = { 'content-type': 'text/plain', ...answer.headers };
      if (answer.retryAfterMillis !== undefined)
        headers['retry-after'] = `${Math.ceil(answer.retryAfterMillis / 1000)}`;
      end(response, answer.status, headers, Buffer.from(answer.message ?? ''));
      return;
    }
    end(response, 200, { 'content-type': type }, encodeResponse(answer, type));
  }

  private read(request: IncomingMessage): Promise<Buffer | 'tooLarge' | 'undecodable'> {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'gzip' && encoding !== 'identity') return Promise.resolve('undecodable');
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let byteLength = 0;
      const stream = encoding === 'gzip' ? request.pipe(createGunzip({ chunkSize: GUNZIP_CHUNK_BYTES })) : request;
      stream.on('data', (chunk: Buffer) => {
        byteLength += chunk.byteLength;
        if (byteLength <= this.maxRequestBytes) chunks.push(chunk);
        else resolve('tooLarge'); // the rest is read and thrown away: the connection stays usable
      });
      stream.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
      stream.on('error', () => {
        resolve('undecodable');
        request.resume();
      });
      request.on('close', () => {
        if (!request.complete) reject(new Error('the request was cut short'));
      });
    });
  }
}

function encodeResponse(answer: ReceiverAnswer, type: keyof typeof FORMATS): Uint8Array {
  const response =
    answer.kind === 'partialSuccess'
      ? { partialSuccess: { rejectedSpans: answer.rejectedSpans, errorMessage: answer.errorMessage ?? '' } }
      : {};
  return type === 'application/json' ? Buffer.from(JSON.stringify(response)) : RESPONSE.encode(response).finish();
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}, body?: Uint8Array): void {
  response.writeHead(status, headers);
  response.end(body);
}

function flatten({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
