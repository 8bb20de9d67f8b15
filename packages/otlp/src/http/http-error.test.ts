import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DETAILS_LENGTH } from '../otlp-transport.js';
import { HttpError } from './http-error.js';

function errorOf(body: Uint8Array | string, headers: Record<string, string> = {}, status = 400): HttpError {
  return new HttpError({ status, headers, body: Buffer.from(body), complete: true });
}

const PROTOBUF = { 'content-type': 'application/x-protobuf' };

/** `google.rpc.Status` with a code, a message of less than 128 bytes and one detail. */
function status(message: string): Buffer {
  const text = Buffer.from(message);
  return Buffer.from([0x08, 3, 0x12, text.byteLength, ...text, 0x1a, 2, 0x0a, 0]);
}

describe('what the server said', () => {
  it.each<[string, Uint8Array | string, Record<string, string>, string]>([
    ['a google.rpc.Status', status('span 3 has no id'), PROTOBUF, 'span 3 has no id'],
    [
      'with a parameter in its type',
      status('no'),
      { 'content-type': 'Application/X-Protobuf; proto=google.rpc.Status' },
      'no',
    ],
    [
      'a Status of which the end is missing',
      status('as far as it came').subarray(0, -2),
      PROTOBUF,
      'as far as it came',
    ],
    ['protobuf that is none', '<html>', PROTOBUF, ''],
    ['plain text', 'not today\n', { 'content-type': 'text/plain' }, 'not today'],
    ['JSON', '{"message":"no"}', { 'content-type': 'application/json' }, '{"message":"no"}'],
    ['text without a type', 'nope', {}, 'nope'],
    ['nothing', '', {}, ''],
    ['lines and control characters', 'one\r\n\u001b[31mtwo\u0000\u202ethree', {}, 'one [31mtwo three'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x41]), {}, '\ufffd\ufffdA'],
    ['something compressed', 'xxx', { 'content-encoding': 'gzip' }, ''],
    ['something said to be not encoded', 'plain', { 'content-encoding': 'identity' }, 'plain'],
  ])('%s', (_, body, headers, details) => {
    const error = errorOf(body, headers);
    expect(error.details).toBe(details);
    expect(error.message).toBe(details === '' ? 'HTTP 400 Bad Request' : `HTTP 400 Bad Request: ${details}`);
  });

  it('is short in the message and longer in the details', () => {
    const error = errorOf('x'.repeat(1_000_000));
    expect(error.details).toBe('x'.repeat(MAX_DETAILS_LENGTH));
    expect(error.message).toBe(`HTTP 400 Bad Request: ${'x'.repeat(200)}…`);
  });

  it('may be anything', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (body, protobuf) => {
        const { details, message } = errorOf(body, protobuf ? PROTOBUF : {}, 599);
        expect(details.length).toBeLessThanOrEqual(MAX_DETAILS_LENGTH);
        expect(message).toMatch(/^HTTP 599(: [^\n\r]+)?$/);
      }),
    );
  });
});

it('has the status as code, and the Retry-After as it came', () => {
  expect(errorOf('', { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }, 503)).toMatchObject({
    code: 503,
    retryAfter: 'Fri, 31 Dec 1999 23:59:59 GMT',
  });
  expect(errorOf('', {}, 503).retryAfter).toBeUndefined();
});
