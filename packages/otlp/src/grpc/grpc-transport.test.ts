import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { gunzipSync } from 'node:zlib';
import { SpanBatch } from '@otel-resilience/core';
import { CountingReceiver, fakeSpans } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, listening } from '../connection/servers.test-support.js';
import { failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A gRPC server on node:http2, that says `grpc-status: 0` and keeps what it was sent. */
async function grpcServer(message: Buffer = Buffer.alloc(0)) {
  const seen: Seen[] = [];
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('end', () => {
      seen.push({ headers, body: Buffer.concat(chunks) });
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(message.byteLength, 1);
      stream.end(Buffer.concat([prefix, message]));
    });
  });
  const place = await listening(server as never);
  return { ...place, seen };
}

describe('a call', () => {
  it('is what gRPC over HTTP/2 says', async () => {
    const server = await grpcServer(Buffer.from('fine'));
    const transport = transportTo(server.port, { path: '/prefix' });
    const body = [Buffer.from('one'), Buffer.from('two')];
    const answer = await transport.send(
      request({ body, headers: { authorization: 'Bearer x' }, timeoutMillis: 7_000 }),
    );
    expect(Buffer.from(answer.body).toString()).toBe('fine');
    const [{ headers, body: sent }] = server.seen as [Seen];
    expect(headers).toMatchObject({
      ':method': 'POST',
      ':scheme': 'http',
      ':path': '/prefix/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      ':authority': `127.0.0.1:${server.port}`,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': 'otel-resilience-test',
      'grpc-accept-encoding': 'identity,gzip',
      authorization: 'Bearer x',
    });
    expect(headers['grpc-timeout']).toMatch(/^(6\d{3}|7000)m$/);
    expect(headers['grpc-encoding']).toBeUndefined();
    expect(sent).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 0, 6]), ...body]));
  });

  it('is compressed with gzip when that is asked for', async () => {
    const server = await grpcServer();
    const transport = transportTo(server.port, { compression: 'gzip' });
    const body = Buffer.from('span '.repeat(10_000));
    await transport.send(request({ body }));
    const [{ headers, body: sent }] = server.seen as [Seen];
    expect(headers['grpc-encoding']).toBe('gzip');
    expect(sent[0]).toBe(1);
    expect(sent.readUInt32BE(1)).toBe(sent.byteLength - 5);
    expect(sent.byteLength).toBeLessThan(1_000);
    expect(gunzipSync(sent.subarray(5))).toEqual(body);
  });

  it('carries a body much larger than the flow-control window', async () => {
    const server = await grpcServer();
    const body = [randomBytes(3_000_000), randomBytes(1), randomBytes(999_999)];
    await transportTo(server.port).send(request({ body }));
    expect(server.seen[0]!.body.subarray(5).equals(Buffer.concat(body))).toBe(true);
  });

  it('shares one connection with the calls beside and after it', async () => {
    const server = await grpcServer();
    const transport = transportTo(server.port);
    await Promise.all(Array.from({ length: 20 }, () => transport.send(request())));
    await transport.send(request());
    expect(server.seen.length).toBe(21);
    expect(server.accepted()).toBe(1);
  });

  it('is understood by grpc-js, and understands it', async () => {
    const receiver = new CountingReceiver({ protocol: 'grpc' });
    await receiver.start();
    const transport = transportTo(receiver.port, { compression: 'gzip' });
    const send = (count: number) => {
      const batch = SpanBatch.fromSpans(fakeSpans(count));
      return transport.send(request({ body: batch.otlp() }));
    };
    await send(100);
    expect(receiver.receivedSpans).toBe(100);
    receiver.script([{ kind: 'error', status: 8, message: 'später, 100 %', retryAfterMillis: 1_500 }]);
    expect(await failureOf(send(1))).toMatchObject({ name: 'GrpcError', code: 8, details: 'später, 100 %' });
    receiver.script([{ kind: 'partialSuccess', rejectedSpans: 3, errorMessage: 'no' }]);
    expect((await send(5)).body.byteLength).toBeGreaterThan(0);
    expect(receiver.openConnections).toBe(1);
    await receiver.stop();
  });
});
