import { constants } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, until } from '../connection/servers.test-support.js';
import { framed, type HeaderList, OK, RawServer, type RawStream, RESPONSE, SETTING } from './frames.test-support.js';
import { failing, failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

const answering = (onRequest: (stream: RawStream) => void) => RawServer.start({ onRequest });
const text = (body: Uint8Array) => Buffer.from(body).toString();

describe('an answer with grpc-status 0', () => {
  const accepted = async (onRequest: (stream: RawStream) => void) => {
    const server = await answering(onRequest);
    const transport = transportTo(server.port);
    const { body } = await transport.send(request());
    await transport.send(request()); // the connection is as good as before
    expect(server.connections.length).toBe(1);
    return text(body);
  };
  const around = (list: HeaderList, ...bytes: Uint8Array[]) => {
    return accepted((stream) => {
      stream.headers(list);
      for (const part of bytes) stream.data(part);
      stream.headers(OK, { endStream: true });
    });
  };
  const gzipped = [...RESPONSE, ['grpc-encoding', 'gzip']] as const;
  const message = Buffer.from('partial success');

  it('brings the message, in however many pieces it comes', async () => {
    const bytes = framed(message);
    expect(await around(RESPONSE, bytes.subarray(0, 3), bytes.subarray(3, 6), bytes.subarray(6))).toBe(text(message));
  });

  it('brings a compressed message', async () => {
    expect(await around(gzipped, framed(gzipSync(message), { flag: 1 }))).toBe(text(message));
  });

  it('is an acceptance without a message when it is Trailers-Only', async () => {
    expect(await accepted((stream) => stream.headers([...RESPONSE, ...OK], { endStream: true }))).toBe('');
  });

  it.each<[string, HeaderList, Uint8Array[]]>([
    ['no message', RESPONSE, []],
    ['half a prefix', RESPONSE, [Buffer.from([0, 0, 0])]],
    ['a length that goes beyond the end', RESPONSE, [framed(message, { length: 1_000 })]],
    ['a length of 4 GiB', RESPONSE, [framed(message, { length: 0xffff_ffff })]],
    ['a message compressed in a way that is not named', RESPONSE, [framed(gzipSync(message), { flag: 1 })]],
    ['a message that only claims to be gzip', gzipped, [framed(message, { flag: 1 })]],
    ['half a gzip', gzipped, [framed(gzipSync(message).subarray(0, 20), { flag: 1 })]],
    ['a bomb', gzipped, [framed(gzipSync(Buffer.alloc(1_000_000)), { flag: 1 })]],
    ['a flag that does not exist', RESPONSE, [framed(message, { flag: 7 })]],
    ['a message over the limit', RESPONSE, [framed(Buffer.alloc(5_000))]],
  ])('is an acceptance with %s, of which nothing is read', async (_, headers, bytes) => {
    expect(await around(headers, ...bytes)).toBe('');
  });

  it('brings the first of several messages', async () => {
    expect(await around(RESPONSE, framed(message), framed(Buffer.from('another')))).toBe(text(message));
  });

  it('counts although the server has not taken the whole request', async () => {
    const server = await RawServer.start({ windows: false, onHeaders: (stream) => stream.accept() });
    const transport = transportTo(server.port);
    await transport.send(request({ body: Buffer.alloc(1_000_000) }));
    await until(() => server.streams[0]!.resetWith !== undefined);
    expect(server.streams[0]!.resetWith).toBe(constants.NGHTTP2_CANCEL);
  });
});

describe('a call that fails with a status', () => {
  it.each<[string, (stream: RawStream) => void]>([
    ['in trailers', (stream) => stream.headers(RESPONSE).headers(status(14), { endStream: true })],
    ['in Trailers-Only', (stream) => stream.headers([...RESPONSE, ...status(14)], { endStream: true })],
    [
      'after a message',
      (s) =>
        s
          .headers(RESPONSE)
          .data(framed(Buffer.from('x')))
          .headers(status(14), { endStream: true }),
    ],
    ['of which the headers do not end the stream', (stream) => stream.headers([...RESPONSE, ...status(14)])],
    ['besides another HTTP status', (s) => s.headers([[':status', '500'], ...status(14)], { endStream: true })],
  ])('%s', async (_, answer) => {
    expect(await failing(answer)).toMatchObject({
      failure: 'retryable',
      error: {
        name: 'GrpcError',
        code: 14,
        details: 'no, 100 % – später',
        message: '14 UNAVAILABLE: no, 100 % – später',
      },
      requests: 1,
    });
  });

  it('hands its metadata up, so that a RetryInfo is read', async () => {
    // Status { code 8, details [ Any RetryInfo { retry_delay { seconds 3 } } ] }
    const inner = Buffer.from([10, 2, 8, 3]);
    const type = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');
    const any = Buffer.concat([Buffer.from([10, type.byteLength]), type, Buffer.from([18, inner.byteLength]), inner]);
    const details = Buffer.concat([Buffer.from([8, 8, 26, any.byteLength]), any])
      .toString('base64')
      .replace(/=+$/, '');
    const list: HeaderList = [...RESPONSE, ['grpc-status', '8'], ['grpc-status-details-bin', details]];
    const outcome = await failing((stream) => stream.headers(list, { endStream: true }));
    expect(outcome).toMatchObject({ failure: 'throttled', retryAfterMillis: 3_000 });
  });

  it.each(['99', '-1', '', 'ok', '0, 0', '1.5'])('that is none (%j) is UNKNOWN', async (value) => {
    const list: HeaderList = [...RESPONSE, ['grpc-status', value]];
    expect(await failing((stream) => stream.headers(list, { endStream: true }))).toMatchObject({ error: { code: 2 } });
  });
});

const status = (code: number): HeaderList => [
  ['grpc-status', String(code)],
  ['grpc-message', 'no, 100 % %E2%80%93 sp%c3%a4ter'],
];

describe('a call that takes too long', () => {
  const run = async (answer: (stream: RawStream) => void, options = {}) => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ onHeaders: answer, ...options });
    const transport = transportTo(server.port, { clock });
    const error = failureOf(transport.send(request({ clock, body: Buffer.alloc(200_000) })));
    await until(() => server.streams.length === 1);
    for (let second = 0; second < 10; second++) {
      if (second > 0 && server.streams[0]!.connection.socket.writable) answerSlowly(server.streams[0]!);
      await clock.advance(1_000);
    }
    return { error: await error, server, transport, clock };
  };
  let answerSlowly: (stream: RawStream) => void = () => {};
  afterEach(() => {
    answerSlowly = () => {};
  });

  it.each<[string, (stream: RawStream) => void]>([
    ['half a response and silence', (stream) => stream.headers(RESPONSE).data(Buffer.from([0, 0]))],
    ['a whole message and no trailers', (stream) => stream.headers(RESPONSE).data(framed(Buffer.alloc(9)))],
    ['silence', () => {}],
  ])('(%s) ends at its deadline, and its stream is cancelled', async (_, answer) => {
    const { error, server, clock, transport } = await run(answer);
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => server.streams[0]!.resetWith === constants.NGHTTP2_CANCEL || server.openConnections === 0);
    await transport.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it('(a byte a second) ends at its deadline', async () => {
    answerSlowly = (stream) => stream.data(Buffer.from([0]));
    const { error, server } = await run((stream) => stream.headers(RESPONSE));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => server.streams[0]!.resetWith === constants.NGHTTP2_CANCEL);
  });

  it('although its status has come is accepted', async () => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ onRequest: (stream) => stream.headers([...RESPONSE, ...OK]) });
    const sending = transportTo(server.port, { clock }).send(request({ clock }));
    await until(() => server.streams[0]?.ended === true);
    for (let second = 0; second < 10; second++) await clock.advance(1_000);
    expect(text((await sending).body)).toBe('');
  });

  it('(a flow-control window that never opens) ends at its deadline', async () => {
    const { error } = await run(() => {}, { windows: false, settings: [[SETTING.initialWindowSize, 0]] });
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('a call that nobody waits for any more', () => {
  it('is cancelled at once, and the connection goes on', async () => {
    const server = await RawServer.start({ onRequest: (stream) => stream.id > 1 && stream.accept() });
    const transport = transportTo(server.port);
    const abort = new AbortController();
    const sending = failureOf(transport.send(request({ signal: abort.signal })));
    await until(() => server.streams.length === 1);
    const reason = new Error('enough');
    abort.abort(reason);
    expect(await sending).toBe(reason);
    await until(() => server.streams[0]!.resetWith === constants.NGHTTP2_CANCEL);
    await transport.send(request());
    server.streams[0]!.accept(); // late: on a stream that is closed
    await transport.send(request());
    expect(server.connections.length).toBe(1);
  });

  it('is not sent at all when that was so from the start', async () => {
    const server = await answering((stream) => stream.accept());
    const reason = new Error('enough');
    const sending = transportTo(server.port).send(request({ signal: AbortSignal.abort(reason) }));
    expect(await failureOf(sending)).toBe(reason);
    expect(server.connections.length).toBe(0);
  });

  it('in the middle of its body leaves nothing behind', async () => {
    const server = await RawServer.start({ windows: false });
    const transport = transportTo(server.port);
    const aborts = Array.from({ length: 50 }, () => new AbortController());
    const sendings = aborts.map(({ signal }) => {
      return failureOf(transport.send(request({ signal, body: Buffer.alloc(100_000) })));
    });
    await until(() => server.streams.length === 50);
    for (const abort of aborts) abort.abort(new Error('enough'));
    await Promise.all(sendings);
    await until(() => server.streams.every(({ resetWith }) => resetWith === constants.NGHTTP2_CANCEL));
    expect(server.connections.length).toBe(1);
  });
});
