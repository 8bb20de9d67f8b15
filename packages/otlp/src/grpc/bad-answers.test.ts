import { constants } from 'node:http2';
import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, until } from '../connection/servers.test-support.js';
import { framed, OK, RawServer, type RawStream, RESPONSE } from './frames.test-support.js';
import { failing, failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

const answering = (onRequest: (stream: RawStream) => void) => RawServer.start({ onRequest });

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

describe('an answer without a grpc-status', () => {
  const html = [['content-type', 'text/html']] as const;

  it.each([
    [400, 13, 'permanent'],
    [401, 16, 'permanent'],
    [403, 7, 'permanent'],
    [404, 12, 'permanent'],
    [413, 2, 'permanent'],
    [429, 14, 'retryable'],
    [500, 2, 'permanent'],
    [502, 14, 'retryable'],
    [503, 14, 'retryable'],
    [504, 14, 'retryable'],
  ])('but HTTP status %i is %i, as gRPC maps it: %s', async (httpStatus, code, expected) => {
    const outcome = await failing((stream) => {
      stream.headers([[':status', String(httpStatus)], ...html]);
      stream.data(Buffer.from('<html>…')); // and no end: nobody waits for it
    });
    expect(outcome).toMatchObject({ failure: expected, error: { code, httpStatus } });
    expect(outcome.error.details).toContain(`HTTP status ${httpStatus}`);
  });

  it('hands a Retry-After up', async () => {
    const outcome = await failing((stream) => {
      stream.headers(
        [
          [':status', '503'],
          ['retry-after', '7'],
        ],
        { endStream: true },
      );
    });
    expect(outcome).toMatchObject({ failure: 'throttled', retryAfterMillis: 7_000 });
  });

  it('from something that is no gRPC server is UNKNOWN', async () => {
    const outcome = await failing((stream) => stream.headers([[':status', '200'], ...html], { endStream: true }));
    expect(outcome).toMatchObject({ failure: 'permanent', error: { code: 2 } });
  });

  it.each<[string, (stream: RawStream) => void]>([
    ['after the headers', (stream) => stream.headers(RESPONSE, { endStream: true })],
    ['after the message', (s) => s.headers(RESPONSE).data(framed(Buffer.alloc(1)), { endStream: true })],
    ['with other trailers', (s) => s.headers(RESPONSE).headers([['x', 'y']], { endStream: true })],
  ])('that ends %s has broken off', async (_, answer) => {
    expect(await failing(answer)).toMatchObject({ failure: 'retryable', error: { code: 14 } });
  });

  it('and informational headers before it changes nothing', async () => {
    const server = await answering((stream) => {
      stream.headers([[':status', '103']]);
      stream.accept();
    });
    await transportTo(server.port).send(request());
  });
});

describe('a stream that the server resets', () => {
  it.each([
    [constants.NGHTTP2_NO_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_PROTOCOL_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_INTERNAL_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_FLOW_CONTROL_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_SETTINGS_TIMEOUT, 13, 'retryable'],
    [constants.NGHTTP2_STREAM_CLOSED, 13, 'retryable'],
    [constants.NGHTTP2_FRAME_SIZE_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_CANCEL, 1, 'retryable'],
    [constants.NGHTTP2_COMPRESSION_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_CONNECT_ERROR, 13, 'retryable'],
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, 8, 'throttled'],
    [constants.NGHTTP2_INADEQUATE_SECURITY, 7, 'permanent'],
    [constants.NGHTTP2_HTTP_1_1_REQUIRED, 13, 'retryable'],
    [0xbeef, 13, 'retryable'],
  ])('with %i is %i, as gRPC maps it: %s', async (http2Code, code, expected) => {
    const outcome = await failing((stream) => stream.reset(http2Code));
    expect(outcome).toMatchObject({ failure: expected, error: { code }, requests: 1 });
  });

  it('with REFUSED_STREAM is repeated once, at once', async () => {
    let refusals = 1;
    const server = await answering((stream) => {
      if (refusals-- > 0) stream.reset(constants.NGHTTP2_REFUSED_STREAM);
      else stream.accept();
    });
    const transport = transportTo(server.port);
    await transport.send(request());
    expect(server.streams.length).toBe(2);
    refusals = 2;
    const error = await failureOf(transport.send(request()));
    expect(error).toMatchObject({ code: 14 });
    expect(classifyFailure(error).failure).toBe('retryable');
    expect(server.streams.length).toBe(4);
    expect(server.connections.length).toBe(1);
  });

  it('after a good status changes nothing', async () => {
    const server = await answering((stream) => {
      stream.accept();
      stream.reset(constants.NGHTTP2_NO_ERROR);
    });
    const transport = transportTo(server.port);
    for (let call = 0; call < 3; call++) await transport.send(request());
    expect(server.connections.length).toBe(1);
  });
});

describe('a server that talks nonsense', () => {
  it.each<[string, (stream: RawStream) => void]>([
    ['data before headers', (stream) => stream.data(framed(Buffer.alloc(3)))],
    [
      'headers of 100 kB',
      (stream) => stream.headers([...RESPONSE, ['x', 'y'.repeat(16_000)], ...many('z', 10, 9_000)]),
    ],
    ['500 headers', (stream) => stream.headers([...RESPONSE, ...many('h', 500, 1), ...OK], { endStream: true })],
    ['trailers of 100 kB', (s) => s.headers(RESPONSE).headers([...many('t', 10, 10_000), ...OK], { endStream: true })],
    ['a frame on a stream that does not exist', (stream) => stream.connection.frame(0, 0, 77, Buffer.alloc(10))],
    ['a frame that is too long', (stream) => stream.connection.frame(0, 0, stream.id, Buffer.alloc(20_000))],
    ['bytes that are no frames', (stream) => stream.connection.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a window that overflows', (stream) => stream.connection.windowUpdate(0, 0x7fff_ffff)],
    ['a pushed stream', (stream) => stream.connection.frame(5, 4, stream.id, Buffer.from([0, 0, 0, 2, 0x82]))],
    ['an answer of 1 MB', (stream) => endless(stream)],
  ])('(%s) loses nothing, and the connection is left if it is broken', async (_, nonsense) => {
    const clock = new VirtualClock();
    let first = true;
    const server = await answering((stream) => {
      if (first) nonsense(stream);
      else stream.accept();
      first = false;
    });
    const transport = transportTo(server.port, { clock });
    let outcome: unknown;
    const sending = transport.send(request({ clock })).catch((error) => error);
    sending.then((result) => {
      outcome = result;
    });
    // After a connection error Node neither ends its session nor reads on: the deadline has to tell.
    await until(() => outcome !== undefined || server.connections[0]?.goawayWith !== undefined);
    await clock.advance(10_000);
    if (outcome instanceof Error) expect(classifyFailure(outcome).failure).toMatch(/retryable|throttled/);
    const again = transport.send(request({ clock }));
    await clock.advance(500);
    await again;
  });
});

function many(name: string, count: number, length: number): [string, string][] {
  return Array.from({ length: count }, (_, index) => [`${name}${index}`, 'v'.repeat(length)]);
}

function endless(stream: RawStream): void {
  stream.headers(RESPONSE);
  for (let frame = 0; frame < 100; frame++) stream.data(Buffer.alloc(10_000));
}
