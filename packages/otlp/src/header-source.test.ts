import { inspect } from 'node:util';
import { ConfigurationError, ExportError, readOptions } from '@otel-resilience/core';
import { describe, expect, it, vi } from 'vitest';
import type { HeadersFunction } from './header-source.js';
import { OTLP_ENDPOINT_SCHEMA } from './options.js';
import { answered, setUp } from './scripted-transport.test-support.js';

const SECRET = 'Bearer hunter2';

function setUpWith(headers: HeadersFunction | Record<string, string>, { base = {}, timeoutMillis = 5_000 } = {}) {
  return setUp({ protocol: 'http/protobuf', headers: { base, headers, timeoutMillis } });
}

/** Tokens 1, 2, 3 …, of which a server takes the latest only. */
function tokens() {
  let latest = 0;
  const issue = vi.fn(async () => ({ Authorization: `Bearer ${++latest}` }));
  return { issue, isValid: ({ authorization = '' }) => authorization === `Bearer ${latest}` };
}

describe('headers', () => {
  it('given as an object go with every request, in lower case, before those of the environment', async () => {
    const { send, transport } = setUpWith({ 'x-tenant': 'blue' }, { base: { 'x-tenant': 'red', 'x-zone': 'a' } });
    await send();
    await send();
    for (const { headers } of transport.requests) expect(headers).toEqual({ 'x-tenant': 'blue', 'x-zone': 'a' });
  });

  const pairs = [['X-Tenant', 'blue']] as const;
  it.each([
    ['a Map', new Map(pairs)],
    ['Headers', new Headers([['X-Tenant', 'blue']])],
    ['pairs', pairs],
    ['an object without a prototype', Object.assign(Object.create(null), { 'X-Tenant': 'blue' })],
  ])('may be %s, from a function too', async (_, given) => {
    const { headers } = readOptions('test', { headers: given }, { headers: OTLP_ENDPOINT_SCHEMA.headers });
    expect(headers).toEqual({ 'x-tenant': 'blue' });
    const { send, transport } = setUpWith(() => given);
    await send();
    expect(transport.requests[0]!.headers).toEqual({ 'x-tenant': 'blue' });
  });

  it.each<[string, unknown, string]>([
    ['a promise', Promise.resolve({}), 'an object of strings'],
    ['a date', new Date(), 'an object of strings'],
    ['a list of strings', ['hunter2'], 'an object of strings'],
    ['pairs without a value', [['hunter2']], 'an object of strings'],
    ['a Map with a wrong name', new Map([[7, 'hunter2']]), 'an object of strings'],
    ['a Map with a wrong value', new Map([['x-key', 7]]), 'a string'],
    ['Headers of the protocol', new Headers({ host: 'hunter2' }), 'no headers of the protocol itself'],
  ])('are not %s', (_, headers, expected) => {
    const read = () => readOptions('test', { headers }, { headers: OTLP_ENDPOINT_SCHEMA.headers });
    expect(read).toThrow(ConfigurationError);
    expect(read).toThrow(expected);
    expect(read).not.toThrow('hunter2');
  });

  it('of a function are asked for when they are needed, once for all', async () => {
    const issue = vi.fn(() => ({ 'X-Key': '1' }));
    const { send, transport } = setUpWith(issue, { base: { 'x-zone': 'a' } });
    expect(issue).not.toHaveBeenCalled();
    await Promise.all([send(), send(), send()]);
    await send();
    expect(issue).toHaveBeenCalledOnce();
    for (const { headers } of transport.requests) expect(headers).toEqual({ 'x-key': '1', 'x-zone': 'a' });
  });
});

describe('a server that no longer knows the headers', () => {
  it.each([
    ['http/protobuf', 401],
    ['grpc', 16],
  ] as const)('%s %i: they are asked for anew, and the request repeated', async (protocol, code) => {
    const { issue, isValid } = tokens();
    const { send, transport } = setUp({ protocol, headers: { base: {}, headers: issue, timeoutMillis: 5_000 } });
    await send();
    transport.respond = ({ headers }) =>
      headers.authorization !== 'Bearer 1' && isValid(headers) ? 'accept' : answered(code);
    expect(await send()).toMatchObject({ delivered: 3 });
    expect(issue).toHaveBeenCalledTimes(2);
    expect(transport.requests).toHaveLength(3);
    expect(await send()).toMatchObject({ delivered: 3 });
    expect(issue).toHaveBeenCalledTimes(2);
  });

  it.each([
    ['http/protobuf', 401],
    ['grpc', 16],
  ] as const)(
    '%s %i: is asked once more, and no further; the spans are kept for headers that it knows',
    async (protocol, code) => {
      const { issue } = tokens();
      const { send, transport } = setUp({ protocol, headers: { base: {}, headers: issue, timeoutMillis: 5_000 } });
      transport.respond = () => answered(code);
      expect(await send()).toMatchObject({ failure: 'retryable', error: { code }, remaining: { spanCount: 3 } });
      expect(transport.requests).toHaveLength(2);
      expect(issue).toHaveBeenCalledTimes(2);
      transport.respond = ({ headers }) => (headers.authorization === 'Bearer 3' ? 'accept' : answered(code));
      expect(await send()).toMatchObject({ delivered: 3 });
    },
  );

  it('and refuses the new ones for another reason says that', async () => {
    const { send, transport } = setUpWith(tokens().issue);
    transport.respond = ({ headers }) => answered(headers.authorization === 'Bearer 1' ? 401 : 403);
    expect(await send()).toMatchObject({ failure: 'permanent', error: { code: 403 } });
  });

  it('is not asked again when the headers are always the same', async () => {
    const { send, transport } = setUpWith({ authorization: SECRET });
    transport.respond = () => answered(401);
    expect(await send()).toMatchObject({ failure: 'permanent' });
    expect(transport.requests).toHaveLength(1);
  });

  it('costs one call of the function, however many requests it has refused', async () => {
    const { issue, isValid } = tokens();
    const { send, transport, clock } = setUpWith(issue);
    await send();
    let refused = 0;
    transport.respond = async ({ headers }) => {
      if (headers.authorization !== 'Bearer 1' && isValid(headers)) return 'accept';
      // Answers that come one after the other, long after the first of them has had its headers renewed.
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 10 * ++refused));
      return answered(401);
    };
    const outcomes = Promise.all(Array.from({ length: 8 }, () => send(1)));
    await clock.advance(1_000);
    expect((await outcomes).every(({ delivered }) => delivered === 1)).toBe(true);
    expect(issue).toHaveBeenCalledTimes(2);
    expect(transport.requests).toHaveLength(1 + 8 + 8);
  });
});

describe('a headers function that fails', () => {
  const secretive = (error: object) => () => {
    throw error;
  };
  it.each<[string, HeadersFunction, RegExp]>([
    ['throws', secretive(new TypeError(`no ${SECRET}`)), /^headers\(\) threw TypeError$/],
    [
      'rejects',
      async () => secretive(Object.assign(new Error(SECRET), { code: 'ENOTFOUND' }))(),
      /Error \(ENOTFOUND\)$/,
    ],
    ['throws what is no error', secretive([SECRET]), /threw what is no error$/],
    ['returns nothing', (() => undefined) as never, /expected an object of strings$/],
    ['returns a string', (() => SECRET) as never, /expected an object of strings$/],
    ['returns no strings', (() => ({ authorization: { toString: () => SECRET } })) as never, /expected a string$/],
    ['returns a line break', () => ({ authorization: `${SECRET}\n` }), /expected printable ASCII$/],
    ['returns a name that is a secret', () => ({ [SECRET]: '' }), /expected names of text headers$/],
    ['returns a header of the protocol', () => ({ 'content-length': '3' }), /expected no headers of the protocol/],
    [
      'returns what cannot be read',
      () => Object.defineProperty({}, 'a', { enumerable: true, get: secretive(new Error(SECRET)) }) as never,
      /expected what can be read$/,
    ],
  ])('%s: the spans may be sent later, and the error keeps the secret', async (_, headers, message) => {
    const { send, transport } = setUpWith(headers);
    const { failure, error } = await send();
    expect(failure).toBe('retryable');
    expect(error?.message).toMatch(message);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
    expect(transport.requests).toEqual([]);
  });

  it('is called again for the next request', async () => {
    let calls = 0;
    const { send } = setUpWith(() => {
      if (++calls === 1) throw new Error('not yet');
      return { authorization: SECRET };
    });
    expect(await send()).toMatchObject({ failure: 'retryable' });
    expect(await send()).toMatchObject({ delivered: 3 });
  });

  it('hangs: fails after its timeout, and is called again', async () => {
    let calls = 0;
    const { send, clock } = setUpWith(() => (++calls === 1 ? new Promise<never>(() => {}) : { a: '1' }), {
      timeoutMillis: 700,
    });
    const outcome = send();
    await clock.advance(700);
    expect(await outcome).toMatchObject({ failure: 'retryable', error: { message: expect.stringMatching(/700 ms/) } });
    expect(clock.pendingTimers).toBe(0);
    expect(await send()).toMatchObject({ delivered: 3 });
  });

  it('hangs: a request waits no longer than it has, or than its caller does', async () => {
    const { send, clock, abort } = setUpWith(() => new Promise<never>(() => {}));
    const short = send(1, 200);
    const cut = send(1);
    await clock.advance(200);
    expect(await short).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
    abort.abort(new ExportError('SHUTDOWN', 'over'));
    expect(await cut).toMatchObject({ failure: 'shutdown' });
    await clock.advance(5_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('fails only while new headers are needed: then the old refusal is not the answer', async () => {
    const { send, transport } = setUpWith(
      vi.fn().mockReturnValueOnce({ a: '1' }).mockRejectedValueOnce(new Error('away')).mockReturnValue({ a: '2' }),
    );
    transport.respond = ({ headers }) => (headers.a === '2' ? 'accept' : answered(401));
    expect(await send()).toMatchObject({ failure: 'retryable', error: { message: 'headers() threw Error' } });
    expect(await send()).toMatchObject({ delivered: 3 });
  });
});

describe('a headers function whose headers are of no use', () => {
  const HEADERS = async () => ({ authorization: SECRET });
  const throwing = async () => {
    throw new Error('away');
  };

  /** As a spool's probes do it, for five minutes. */
  async function probe({ send, clock }: ReturnType<typeof setUp>, times = 600) {
    for (let sent = 0; sent < times; sent++) {
      await clock.run(send());
      await clock.advance(500);
    }
  }

  it.each<[string, HeadersFunction]>([
    ['gives what the server refuses', HEADERS],
    ['throws', throwing],
    ['hangs', () => new Promise<never>(() => {})],
  ])('%s: is called three times, then after 1, 2, 4 … 30 s', async (_, headers) => {
    const calledAt: number[] = [];
    const world = setUpWith(
      () => {
        calledAt.push(world.clock.now());
        return headers();
      },
      { timeoutMillis: 100 },
    );
    world.transport.respond = () => answered(401);
    await probe(world);
    const gaps = calledAt.slice(1).map((at, index) => at - calledAt[index]!);
    expect(gaps.slice(2, 8).map((gap) => Math.floor(gap / 1_000))).toEqual([1, 2, 4, 8, 16, 30]);
    expect(calledAt.length).toBeLessThan(20);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('does not keep a server from being asked, nor from being heard when it takes them again', async () => {
    const issue = vi.fn(HEADERS);
    const world = setUpWith(issue);
    world.transport.respond = () => answered(401);
    await probe(world, 100);
    expect(world.transport.requests.length).toBeGreaterThanOrEqual(100);
    expect(await world.send()).toMatchObject({ failure: 'retryable', error: { code: 401 } });
    const calls = issue.mock.calls.length;
    world.transport.respond = () => 'accept';
    expect(await world.send()).toMatchObject({ delivered: 3 });
    expect(issue).toHaveBeenCalledTimes(calls);
    // And from then on, they are renewed at once again.
    world.transport.respond = () => (issue.mock.calls.length > calls ? 'accept' : answered(401));
    expect(await world.send()).toMatchObject({ delivered: 3 });
    expect(issue).toHaveBeenCalledTimes(calls + 1);
  });

  it('says meanwhile what it failed with', async () => {
    const world = setUpWith(throwing);
    await probe(world, 20);
    expect(await world.send()).toMatchObject({ failure: 'retryable', error: { message: 'headers() threw Error' } });
    expect(world.transport.requests).toEqual([]);
  });
});
