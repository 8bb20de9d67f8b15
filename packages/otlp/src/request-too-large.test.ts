import { describe, expect, it } from 'vitest';
import { saysTooLarge } from './request-too-large.js';
import { answered } from './scripted-transport.test-support.js';

describe('saysTooLarge', () => {
  it.each([
    [413, ''],
    [413, '<html><center>nginx</center></html>'],
    [400, 'http: request body too large'],
    [400, 'Request body is too large'],
    [400, '{"code":3,"message":"http: request body too large"}'],
    [500, 'request entity too large'],
    [422, 'payload size exceeds the limit'],
  ])('HTTP %i %s: yes', (code, details) => {
    expect(saysTooLarge(answered(code, details), 'http/protobuf')).toBe(true);
  });

  it.each([
    [8, 'grpc: received message larger than max (4194305 vs. 4194304)'],
    [8, 'grpc: received message after decompression larger than max 4194304'],
    [8, 'Received message larger than max (17777780 vs. 4194304)'],
    [8, 'gRPC message exceeds maximum size 4194304: 5118829'],
    [8, 'Received message exceeds the maximum configured message size.'],
    [11, 'Error, message length too large: found 5000000 bytes, the limit is: 4194304 bytes'],
    [11, 'Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes'],
  ])('gRPC %i %s: yes', (code, details) => {
    expect(saysTooLarge(answered(code, details), 'grpc')).toBe(true);
  });

  it('a 413 that a proxy answers to a gRPC call: yes', () => {
    expect(saysTooLarge(answered(2, '', { httpStatus: 413 }), 'grpc')).toBe(true);
    expect(saysTooLarge(answered(2, '', { httpStatus: 502 }), 'grpc')).toBe(false);
  });

  it.each<[number, string]>([
    [400, ''],
    [400, 'no such tenant'],
    [400, 'Request Header Or Cookie Too Large'],
    [429, 'request body too large'],
    [503, 'request body too large'],
    [401, 'the request exceeds your quota'],
    [500, 'request rate exceeds the limit'],
  ])('HTTP %i %s: no', (code, details) => {
    expect(saysTooLarge(answered(code, details), 'http/protobuf')).toBe(false);
  });

  it.each<[number, string]>([
    [8, ''],
    [8, 'quota exceeded: 1000 requests per second'],
    [8, 'request exceeded the rate limit'],
    [14, 'grpc: received message larger than max (4194305 vs. 4194304)'],
    [413, ''],
  ])('gRPC %i %s: no', (code, details) => {
    expect(saysTooLarge(answered(code, details), 'grpc')).toBe(false);
  });

  it.each([new Error('request body too large'), { code: 400 }, { code: 400, details: 7 }, 'request body too large'])(
    'what is no answer says nothing: %s',
    (thrown) => {
      expect(saysTooLarge(thrown, 'http/protobuf')).toBe(false);
    },
  );

  it('is quick, however much the server has to say', () => {
    const startedAt = performance.now();
    for (const word of ['message ', 'a', 'message size '])
      saysTooLarge(answered(400, word.repeat(100_000)), 'http/protobuf');
    expect(performance.now() - startedAt).toBeLessThan(200);
  });
});
