import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classifyFailure } from './classify-failure.js';
import { ExportError } from './export-error.js';
import { MAX_RETRY_AFTER_MILLIS } from './retry-after.js';

const errorWith = (properties: object, message = 'failed') => Object.assign(new Error(message), properties);
const grpcError = (code: number, details = '') => errorWith({ code, details, metadata: { get: () => [] } });
const classified = (thrown: unknown) => {
  const { failure, retryAfterMillis } = classifyFailure(thrown);
  return retryAfterMillis === undefined ? failure : `${failure} ${retryAfterMillis}`;
};

describe('classifyFailure', () => {
  it.each([
    ['after its inner retries', new Error('Export failed with retryable status'), 'retryable'],
    ['429', errorWith({ code: 429 }), 'throttled'],
    ['429 with Retry-After', errorWith({ code: 429, headers: { 'Retry-After': '7' } }), 'throttled 7000'],
    ['429 with a Retry-After of garbage', errorWith({ code: 429, retryAfter: 'soon' }), 'throttled'],
    ['502', errorWith({ code: 502 }), 'retryable'],
    ['503', errorWith({ statusCode: 503 }), 'retryable'],
    ['503 with Retry-After', errorWith({ code: 503, retryAfter: '2' }), 'throttled 2000'],
    ['503 of fetch', errorWith({ status: 503, headers: new Headers({ 'retry-after': '3' }) }), 'throttled 3000'],
    [
      '503 of a client library',
      errorWith({ response: { status: 503, headers: { 'retry-after': 4 } } }),
      'throttled 4000',
    ],
    ['504', errorWith({ code: 504 }), 'retryable'],
    ['500', errorWith({ code: 500 }), 'permanent'],
    ['501', errorWith({ code: 501 }), 'permanent'],
    ['302', errorWith({ code: 302 }), 'permanent'],
    ['400', errorWith({ code: 400 }), 'permanent'],
    ['401', errorWith({ code: 401 }), 'permanent'],
    ['408', errorWith({ code: 408 }), 'permanent'],
    ['413, even with Retry-After', errorWith({ code: 413, retryAfter: '1' }), 'permanent'],
    ['a failure with 200', errorWith({ code: 200 }), 'retryable'],
  ])('reads HTTP: %s', (_, thrown, expected) => {
    expect(classified(thrown)).toBe(expected);
  });

  it.each([
    ['ECONNREFUSED'],
    ['ECONNRESET'],
    ['EPIPE'],
    ['ETIMEDOUT'],
    ['ENOTFOUND'],
    ['EAI_AGAIN'],
    ['EHOSTUNREACH'],
    ['ENETUNREACH'],
    ['UND_ERR_CONNECT_TIMEOUT'],
    ['UND_ERR_SOCKET'],
    ['ERR_HTTP2_STREAM_CANCEL'],
    ['CERT_HAS_EXPIRED'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['ERR_TLS_CERT_ALTNAME_INVALID'],
    ['EPROTO'],
    ['DEADLINE_EXCEEDED'],
  ])('takes %s for a disconnect: retryable', (code) => {
    expect(classified(errorWith({ code }))).toBe('retryable');
    expect(classified(new TypeError('fetch failed', { cause: errorWith({ code }) }))).toBe('retryable');
  });

  it.each([
    ['a timeout of the stock exporter', new Error('Request timed out')],
    ['a hang-up', errorWith({ code: 'ECONNRESET' }, 'socket hang up')],
    ['an abort', new DOMException('aborted', 'AbortError')],
    ['a DOMException whose number is also a gRPC code', new DOMException('bad', 'SyntaxError')],
    ['an exporter with a bug', new TypeError('x is not a function')],
    ['a string', 'oops'],
    ['nothing', undefined],
    ['null', null],
    ['an object without a prototype', Object.create(null)],
  ])('keeps the spans of %s: retryable, with an Error', (_, thrown) => {
    expect(classifyFailure(thrown)).toEqual({ failure: 'retryable', error: expect.any(Error) });
  });

  it('follows OTLP for every gRPC status', () => {
    const retryable = [1, 4, 10, 11, 14, 15];
    for (let code = 1; code <= 16; code++) {
      expect(classified(grpcError(code)), `code ${code}`).toBe(retryable.includes(code) ? 'retryable' : 'permanent');
    }
    expect(classified(grpcError(0))).toBe('retryable');
  });

  it('takes a stream that broke before any gRPC status came for a disconnect', () => {
    expect(
      classified(grpcError(13, 'Received RST_STREAM with code 2 triggered by internal client error: write EPIPE')),
    ).toBe('retryable');
    expect(classified(grpcError(13, 'nil pointer dereference'))).toBe('permanent');
  });

  it('takes a refusal of ours, and the stock concurrency limit, for a call that asked nobody', () => {
    expect(classified(new ExportError('REFUSED', 'open'))).toBe('refused');
    expect(classified(errorWith({ code: 'REFUSED', retryAfterMillis: 20 }))).toBe('refused 20');
    expect(classified(new Error('Concurrent export limit reached'))).toBe('refused');
  });

  it('knows its own errors by their code, from whichever copy of the package they come', () => {
    expect(classified(new ExportError('SHUTDOWN', 'stop'))).toBe('shutdown');
    expect(classified(errorWith({ name: 'ExportError', code: 'SHUTDOWN' }))).toBe('shutdown');
    expect(classified(new ExportError('DEADLINE_EXCEEDED', 'late'))).toBe('retryable');
  });

  it('bounds a hint that a leaf has read itself', () => {
    expect(classified(errorWith({ code: 14, details: '', retryAfterMillis: 250 }))).toBe('throttled 250');
    expect(classified(errorWith({ code: 429, retryAfterMillis: -5 }))).toBe('throttled 1');
    expect(classified(errorWith({ code: 429, retryAfterMillis: Number.NaN }))).toBe('throttled');
    expect(classified(errorWith({ code: 429, retryAfterMillis: 1e12 }))).toBe(`throttled ${MAX_RETRY_AFTER_MILLIS}`);
    const date = new Date(Date.now() + 60_000).toUTCString();
    const { retryAfterMillis } = classifyFailure(errorWith({ code: 503, headers: { 'retry-after': date } }));
    expect(retryAfterMillis).toBeGreaterThan(50_000);
    expect(retryAfterMillis).toBeLessThanOrEqual(60_000);
  });

  it('reads the cause of an error that says nothing itself', () => {
    const cause = new Error('gave up', { cause: errorWith({ code: 400 }) });
    expect(classified(new Error('export failed', { cause }))).toBe('permanent');
    expect(classified({ code: 400 })).toBe('permanent');
    expect(classified(errorWith({ code: 503, cause: errorWith({ code: 400 }) }))).toBe('retryable');
  });

  it('is as hopeful about an AggregateError as about its most hopeful part', () => {
    const bad = errorWith({ code: 400 });
    const network = errorWith({ code: 'ECONNREFUSED' });
    expect(classified(new AggregateError([bad, bad]))).toBe('permanent');
    expect(classified(new AggregateError([bad, errorWith({ code: 429, retryAfter: 1 })]))).toBe('throttled 1000');
    expect(classified(new AggregateError([bad, errorWith({ code: 429 }), network]))).toBe('retryable');
    expect(classified(new TypeError('fetch failed', { cause: new AggregateError([network, bad]) }))).toBe('retryable');
  });

  it('ends on cyclic causes and on errors that throw when read', () => {
    const cyclic = new Error('failed');
    Object.assign(cyclic, { cause: cyclic, errors: [cyclic, cyclic] });
    expect(classified(cyclic)).toBe('retryable');
    const throwing = new Error('failed');
    Object.defineProperty(throwing, 'code', {
      get: () => {
        throw new Error('getter');
      },
    });
    const { failure, error } = classifyFailure(throwing);
    expect([failure, error.message]).toEqual(['retryable', 'export failed with an unreadable error']);
    expect((error as { code?: unknown }).code).toBeUndefined(); // can be read by whoever gets it
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(classifyFailure(proxy)).toEqual({ failure: 'retryable', error: expect.any(Error) });
  });

  it('answers with a failure, an Error and a bounded hint for whatever is thrown', () => {
    const FAILURES = ['retryable', 'throttled', 'permanent', 'refused', 'shutdown'];
    const anything = fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withTypedArray: true });
    const keys = ['code', 'statusCode', 'status', 'retryAfter', 'retryAfterMillis', 'headers', 'metadata', 'details'];
    const value = fc.oneof(anything, fc.integer(), fc.integer({ min: 0, max: 16 }), fc.integer({ min: 300, max: 599 }));
    const failed = fc
      .dictionary(fc.constantFrom(...keys, 'cause', 'errors', 'response', 'message'), value)
      .map((properties) => Object.assign(Object.create(Error.prototype), properties));
    fc.assert(
      fc.property(fc.oneof(anything, failed), (thrown) => {
        const { failure, error, retryAfterMillis = 1 } = classifyFailure(thrown);
        expect(FAILURES).toContain(failure);
        expect(error).toBeInstanceOf(Error);
        expect(retryAfterMillis).toBeGreaterThanOrEqual(1);
        expect(retryAfterMillis).toBeLessThanOrEqual(MAX_RETRY_AFTER_MILLIS);
      }),
      { numRuns: 1_000 },
    );
  });
});
