import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { diag } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { S3ObjectStore, type S3ObjectStoreOptions } from './index.js';
import { classifyS3Error } from './s3-error.js';

// What a real server answers is in test/peers/s3; here is what none can be brought to say.

const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY' };
const servers: Server[] = [];
const stores: S3ObjectStore[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.shutdown({ deadline: 0 })));
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function storeOver(listener: RequestListener, options: Partial<S3ObjectStoreOptions> = {}) {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    request.resume();
    listener(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clientOptions = { endpoint, region: 'us-east-1', forcePathStyle: true, credentials };
  const store = new S3ObjectStore({ bucket: 'b', clientOptions, ...options });
  stores.push(store);
  return { store, requests: () => requests, clientOptions };
}

const answer =
  (status: number, code: string, headers: Record<string, string> = {}, message = 'as told'): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/xml', ...headers });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`);
  };

describe('S3ObjectStore', () => {
  it.each([
    [503, 'SlowDown', {}, 'THROTTLED', undefined],
    [503, 'SlowDown', { 'retry-after': '7' }, 'THROTTLED', 7_000],
    [429, 'TooManyRequests', { 'retry-after': '2' }, 'THROTTLED', 2_000],
    [503, 'ServiceUnavailable', {}, 'UNAVAILABLE', undefined],
    [503, 'ServiceUnavailable', { 'retry-after': '1' }, 'THROTTLED', 1_000],
    [500, 'InternalError', {}, 'UNAVAILABLE', undefined],
    [400, 'RequestTimeout', {}, 'UNAVAILABLE', undefined],
    [403, 'RequestTimeTooSkewed', {}, 'UNAVAILABLE', undefined],
    [403, 'AccessDenied', {}, 'DENIED', undefined],
    [403, 'SignatureDoesNotMatch', {}, 'DENIED', undefined],
    [400, 'ExpiredToken', {}, 'DENIED', undefined],
    [404, 'NoSuchBucket', {}, 'NO_BUCKET', undefined],
    [301, 'PermanentRedirect', {}, 'NO_BUCKET', undefined],
    [409, 'ConditionalRequestConflict', {}, 'CONFLICT', undefined],
    [412, 'PreconditionFailed', {}, 'EXISTS', undefined],
    [400, 'BadDigest', {}, 'CHECKSUM', undefined],
    [400, 'InvalidStorageClass', {}, 'REFUSED_REQUEST', undefined],
  ] as const)('reads %i %s %j as %s, after one attempt', async (status, said, headers, code, retryAfterMillis) => {
    const { store, requests } = await storeOver(answer(status, said, headers));
    const put = store.put('k', [Buffer.from('x')]);
    await expect(put).rejects.toMatchObject({ name: 'ObjectStoreError', code, retryAfterMillis });
    await expect(put).rejects.toThrow(`(${said}, ${status}`);
    expect(requests()).toBe(1);
  });

  it('shows nothing of its credentials, though a server repeats them', async () => {
    const { secretAccessKey, accessKeyId } = credentials;
    const said = `key ${accessKeyId} and ${secretAccessKey} are wrong`;
    const { store } = await storeOver(answer(403, 'InvalidAccessKeyId', {}, said));
    const error = await store.put('k', []).catch((thrown) => thrown);
    expect(error.message).toMatch(/access denied.*key \*\*\* and \*\*\* are wrong/);
    const shown =
      [error, store, store.status()].map((one) => inspect(one, { depth: 20 })).join() + JSON.stringify(store);
    expect(shown).not.toMatch(/AKIA|wJalr/);
  });

  it('reads no more than was declared, of a server that declares nothing', async () => {
    const { store } = await storeOver((_, response) => {
      response.writeHead(200);
      const write = () => {
        if (!response.destroyed) response.write(Buffer.alloc(64 * 1024), write);
      };
      write();
    });
    await expect(store.get('k', { maxBytes: 100_000 })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('says when the client of yours would try again by itself', async () => {
    const { clientOptions } = await storeOver(answer(500, 'InternalError'));
    const client = new S3Client(clientOptions);
    const { store } = await storeOver(answer(500, 'x'), { client, clientOptions: undefined });
    const warn = vi.spyOn(diag, 'warn');
    await store.open();
    expect(warn).toHaveBeenCalledWith(expect.stringMatching(/the client makes 3 attempts per call/));
    warn.mockRestore();
    client.destroy();
  });

  it('says that what has no status could not be reached', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
    expect(classifyS3Error(refused, String, 0)).toMatchObject({ code: 'UNAVAILABLE', failure: 'retryable' });
    expect(classifyS3Error(undefined, String, 0)).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('refuses wrong options by name, and shows none of them', () => {
    const make = (options: object) => () => new S3ObjectStore(options as S3ObjectStoreOptions);
    expect(make({})).toThrow(/S3ObjectStore\.bucket/);
    expect(make({ bucket: 'b', prefix: '../x' })).toThrow(/S3ObjectStore\.prefix/);
    expect(make({ bucket: 'b', client: {} })).toThrow(/S3ObjectStore\.client/);
    expect(make({ bucket: 'b', partBytes: 1 })).toThrow(/S3ObjectStore\.partBytes/);
    expect(make({ bucket: 'b', clientOptions: credentials.secretAccessKey })).toThrow(
      /clientOptions: expected .*, got 'string'/,
    );
    expect(make({ bucket: 'b', partBytes: 2 ** 25, multipartThresholdBytes: 2 ** 24 })).toThrow(/at least partBytes/);
    const client = new S3Client({ region: 'us-east-1' });
    expect(make({ bucket: 'b', client, clientOptions: {} })).toThrow(/either client or clientOptions/);
  });
});
