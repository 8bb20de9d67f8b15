import { describe, expect, it } from 'vitest';
import { protocolOf } from './otlp-endpoint.js';

describe('protocolOf', () => {
  it.each([
    [undefined, 'grpc'],
    ['not a url', 'grpc'],
    ['http://localhost:4317', 'grpc'],
    ['https://collector', 'grpc'],
    ['http://localhost:4318', 'http/protobuf'],
    ['http://localhost:4318/custom', 'http/protobuf'],
    ['https://collector/otlp/v1/traces', 'http/protobuf'],
  ])('%s: %s', (url, protocol) => {
    expect(protocolOf(url)).toBe(protocol);
  });
});
