import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SpanBatch, systemClock } from '@otel-resilience/core';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import { fakeSpan } from '@otel-resilience/testing';
import { afterEach, expect, it } from 'vitest';

setFlagsFromString('--expose-gc');
const gc: (options: { type: 'minor' }) => void = runInNewContext('gc');

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

// Servers that keep nothing, since they live on the same heap.
const SERVERS = {
  grpc: () => {
    const server = createHttp2Server();
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end();
      });
    });
    return server as unknown as Server;
  },
  'http/protobuf': () =>
    createHttpServer((request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
    }),
};

// A stream outlives its call: node gives it up at the next collection of the whole heap only. Once it kept what it had
// sent until then, and the engine, short of memory outside the heap, collected all of it four times a second.
it.each([
  ['grpc', 'none'],
  ['grpc', 'gzip'],
  ['http/protobuf', 'none'],
  ['http/protobuf', 'gzip'],
] as const)(
  'over %s, compression %s, bytes that are sent are freed by collections of young objects',
  async (protocol, compression) => {
    const url = await listen(SERVERS[protocol]());
    const exporter = new OtlpSpanExporter({ url, protocol, compression, metrics: false });
    closing.push(() => exporter.shutdown());
    const context = { signal: new AbortController().signal, deadline: systemClock.now() + 30_000 };
    const text = randomBytes(500_000).toString('hex'); // half of it is left when it is compressed
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const outcome = await exporter.exportBatch(SpanBatch.fromSpans([fakeSpan({ attributes: { text } })]), context);
        expect(outcome.delivered).toBe(1);
        gc({ type: 'minor' });
      }
    };
    await send(3); // connects
    const before = process.memoryUsage().arrayBuffers;
    await send(20);
    gc({ type: 'minor' });
    gc({ type: 'minor' });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000);
  },
);
