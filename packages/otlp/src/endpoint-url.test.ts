import { ConfigurationError } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { checkEndpointUrl, protocolOf, readEndpointUrl } from './endpoint-url.js';

describe('protocolOf', () => {
  it.each([
    [undefined, 'grpc'],
    ['not a url', 'grpc'],
    ['http://localhost:4317', 'grpc'],
    ['https://collector', 'grpc'],
    ['unix:/run/otel.sock', 'grpc'],
    ['http://localhost:4318', 'http/protobuf'],
    ['http://localhost:4318/custom', 'http/protobuf'],
    ['https://collector/otlp/v1/traces', 'http/protobuf'],
  ])('%s: %s', (url, protocol) => {
    expect(protocolOf(url)).toBe(protocol);
  });
});

describe('readEndpointUrl', () => {
  it.each([
    ['http://a:4317', { host: 'a', port: 4317 }, false, 'a:4317', ''],
    ['https://a', { host: 'a', port: 443 }, true, 'a', ''],
    ['http://[::1]:4317/', { host: '::1', port: 4317 }, false, '[::1]:4317', ''],
    ['http://a/v1/traces?x=1', { host: 'a', port: 80 }, false, 'a', ''],
    ['unix:/run/otel.sock', { path: '/run/otel.sock' }, false, 'localhost', ''],
    ['unix:///run/otel.sock', { path: '/run/otel.sock' }, false, 'localhost', ''],
    ['unix:otel.sock', { path: 'otel.sock' }, false, 'localhost', ''],
  ])('gRPC, %s', (url, target, secure, authority, path) => {
    expect(readEndpointUrl(checkEndpointUrl(url, ''), 'grpc')).toMatchObject({ target, secure, authority, path });
  });

  it.each([
    ['http://a:4318', '/v1/traces'],
    ['http://a:4318/', '/v1/traces'],
    ['http://a:4318/custom/', '/custom/'],
    ['http://a:4318/?key=s3cret', '/v1/traces?key=s3cret'],
    ['unix:/run/otel.sock', '/v1/traces'],
  ])('HTTP, %s: the path is %s', (url, path) => {
    const endpoint = readEndpointUrl(checkEndpointUrl(url, ''), 'http/protobuf');
    expect(endpoint.path).toBe(path);
    expect(endpoint.shown).not.toContain('s3cret');
  });
});

describe('checkEndpointUrl', () => {
  it.each([
    undefined,
    7,
    '',
    'collector:4317',
    'ftp://a',
    'http://',
    'http:a',
    'http://a b',
    'unix:',
    'unix://host/path',
    'unix:////',
    'unix:/a\0b',
  ])('refuses %s', (value) => {
    expect(() => checkEndpointUrl(value, 'x.url')).toThrow(ConfigurationError);
  });

  it.each(['https://user:hunter2@a', 'ftp://user:hunter2@a', 'hunter2@a', 'ftp://a/?key=hunter2'])(
    'does not repeat the secrets of %s',
    (value) => {
      expect(() => checkEndpointUrl(value, 'x.url')).toThrow(/^x\.url: expected an http:\/\/ or (?!.*hunter2)/);
    },
  );
});
