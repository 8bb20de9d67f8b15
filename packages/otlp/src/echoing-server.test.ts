import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { inspect } from 'node:util';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { SpanBatch, systemClock } from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { closeAll, listening, tcpServer } from './connection/servers.test-support.js';
import type { OtlpSpanExporterOptions } from './options.js';
import { OtlpSpanExporter } from './otlp-span-exporter.js';

const PROXY = Buffer.from('proxy-user:proxy-word').toString('base64');
const SECRETS = ['stat1c-key', 't0ken-1', 't0ken-2', 'env-s3cret', 'query-k3y', PROXY, 'proxy-word'];
const said: string[] = [];
let asked: string[] = [];

beforeEach(() => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-env=env-s3cret');
  const say = (line: string) => said.push(line);
  diag.setLogger({ error: say, info: say, debug: say, verbose: say, warn: say }, DiagLogLevel.ALL);
  said.length = 0;
  asked = [];
});

afterEach(async () => {
  diag.disable();
  vi.unstubAllEnvs();
  await closeAll();
});

/** All that the client has sent beside the spans, as one line. */
function echoOf(headers: IncomingHttpHeaders, path = ''): string {
  asked.push(`${path} ${headers.authorization}`);
  const { authorization, 'x-env': env, 'x-key': key, 'proxy-authorization': proxy } = headers;
  return `got ${path} ${authorization} ${env} ${key} ${proxy} ${proxy ? 'proxy-word' : ''}; was ${authorization ? 't0ken-1' : ''}`;
}

type Answer = (headers: IncomingHttpHeaders, path?: string) => { readonly status: number; readonly taken?: string };

const SERVERS = {
  'http/protobuf': (answer: Answer) =>
    createServer((request: IncomingMessage, response: ServerResponse) => {
      const { status, taken } = answer(request.headers, request.url);
      const echo = echoOf(request.headers, request.url);
      const body = taken === undefined ? echo : partialSuccess(echo);
      const type = taken === undefined ? 'text/plain' : 'application/x-protobuf';
      request.resume().on('end', () => {
        response.writeHead(status, { 'content-type': type, location: `/?${encodeURIComponent(echo)}` }).end(body);
      });
    }),
  grpc: (answer: Answer) =>
    createHttp2Server().on('stream', (stream: ServerHttp2Stream, headers) => {
      const { status, taken } = answer(headers);
      const echo = echoOf(headers);
      stream.resume().on('end', () => {
        const head = { ':status': 200, 'content-type': 'application/grpc' };
        if (taken === undefined) {
          const message = encodeURIComponent(echo);
          stream.respond({ ...head, 'grpc-status': `${status}`, 'grpc-message': message, 'x-echo': echo });
          stream.end();
          return;
        }
        stream.respond(head, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        const message = partialSuccess(echo);
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(message.byteLength, 1);
        stream.end(Buffer.concat([prefix, message]));
      });
    }),
} as const;

/** A warning: `ExportTraceServiceResponse { partial_success { error_message } }`. */
function partialSuccess(message: string): Buffer {
  const text = Buffer.from(message).subarray(0, 250);
  const length = (bytes: number) => (bytes < 128 ? [bytes] : [(bytes & 127) | 128, bytes >> 7]);
  const inner = [0x12, ...length(text.byteLength)];
  return Buffer.concat([Buffer.from([0x0a, ...length(text.byteLength + inner.length), ...inner]), text]);
}

describe.each(['grpc', 'http/protobuf'] as const)('a server over %s that repeats what it was sent', (protocol) => {
  async function send(answer: Answer, options: OtlpSpanExporterOptions) {
    const { port } = await listening(SERVERS[protocol](answer) as never);
    const url = `http://127.0.0.1:${port}/v1/traces?key=query-k3y`;
    const exporter = new OtlpSpanExporter({ protocol, url, metrics: false, ...options });
    const context = { signal: new AbortController().signal, deadline: systemClock.now() + 5_000 };
    const outcome = await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(2)), context);
    await exporter.shutdown();
    return outcome;
  }

  function expectNoSecret(shown: string) {
    for (const secret of SECRETS) expect(shown).not.toContain(secret);
  }

  const refusals: number[] = protocol === 'grpc' ? [3, 7, 14, 16] : [302, 400, 401, 407, 503];

  it.each(refusals)('%i: nothing of it is in the error', async (status) => {
    const headers = { authorization: 'Bearer t0ken-1', 'x-key': 'stat1c-key' };
    const { error } = await send(() => ({ status }), { headers });
    expect(error?.message).toMatch(/got .*\*\*\*/);
    expectNoSecret(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error));
  });

  it('nothing of the headers that a function gave, before and after they were renewed', async () => {
    let calls = 0;
    const headers = async () => ({ authorization: `Bearer t0ken-${++calls}` });
    const { error } = await send(() => ({ status: protocol === 'grpc' ? 16 : 401 }), { headers });
    expect(asked).toEqual([expect.stringContaining('t0ken-1'), expect.stringContaining('t0ken-2')]);
    expect(error?.message).toMatch(/got .*\*\*\*/);
    expectNoSecret(inspect(error, { depth: 9, showHidden: true }));
  });

  it('nothing of it is in the log when the server takes the spans and warns', async () => {
    const headers = { authorization: 'Bearer t0ken-1', 'x-key': 'stat1c-key' };
    const outcome = await send(() => ({ status: 200, taken: '' }), { headers });
    expect(outcome.delivered).toBe(2);
    expect(said.join()).toMatch(/says: got .*\*\*\*/);
    expectNoSecret(said.join());
  });

  it.runIf(protocol === 'http/protobuf')('nothing of the credentials for a proxy that answers itself', async () => {
    const { port } = await listening(SERVERS['http/protobuf'](() => ({ status: 407 })) as never);
    const proxy = `http://proxy-user:proxy-word@127.0.0.1:${port}`;
    const { error } = await send(() => ({ status: 200 }), { proxy });
    expect(asked).toEqual([expect.stringContaining('/v1/traces')]);
    expect(error?.message).toMatch(/HTTP 407 .*got .*\*\*\*/);
    expectNoSecret(inspect(error, { depth: 9, showHidden: true }));
  });
});

describe('a port that sends everything back as it came', () => {
  it.each([
    ['in place of a server', (url: string) => ({ url })],
    ['in place of a proxy', (url: string) => ({ url: 'https://collector.test:4318', proxy: withPassword(url) })],
  ])('%s: nothing of it is in the error, not even as bytes', async (_, to) => {
    const { port } = await tcpServer((socket) => socket.pipe(socket));
    const headers = { authorization: 'Bearer t0ken-1' };
    const options = { protocol: 'http/protobuf', headers, metrics: false, ...to(`http://127.0.0.1:${port}`) } as const;
    const exporter = new OtlpSpanExporter(options);
    const context = { signal: new AbortController().signal, deadline: systemClock.now() + 5_000 };
    const { failure, error } = await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(2)), context);
    await exporter.shutdown();
    expect(failure).toBe('retryable');
    let shown = '';
    for (let one: unknown = error; one instanceof Error; one = one.cause) {
      for (const name of Object.getOwnPropertyNames(one)) shown += `${(one as never)[name]}\n`;
    }
    expect(shown).toContain('Parse Error');
    for (const secret of SECRETS) expect(shown).not.toContain(secret);
  });

  const withPassword = (url: string) => url.replace('//', '//proxy-user:proxy-word@');
});
