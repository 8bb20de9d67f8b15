import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { afterEach, describe, expect, it } from 'vitest';
import { classifyFailure } from './classify-failure.js';
import { MAX_RETRY_AFTER_MILLIS, MIN_RETRY_AFTER_MILLIS } from './retry-after.js';
import { readRetryInfo } from './retry-info.js';

// An independent encoder: what a server that follows google/rpc/status.proto sends.
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message ErrorInfo { string reason = 1; string domain = 2; }
`,
  { keepCase: true },
);
const encode = (type: string, value: object) => {
  const message = root.lookupType(type);
  return message.encode(message.fromObject(value)).finish();
};
const retryInfo = (retry_delay?: { seconds?: number | string; nanos?: number }) => ({
  type_url: 'type.googleapis.com/google.rpc.RetryInfo',
  value: encode('RetryInfo', { retry_delay }),
});
const errorInfo = {
  type_url: 'type.googleapis.com/google.rpc.ErrorInfo',
  value: encode('ErrorInfo', { reason: 'QUOTA', domain: 'example.com' }),
};
const status = (...details: object[]) => encode('Status', { code: 8, message: 'slow down', details });

describe('readRetryInfo', () => {
  it.each([
    ['seconds', { seconds: 30 }, 30_000],
    ['seconds and nanos', { seconds: 1, nanos: 500_000_000 }, 1_500],
    ['nanos', { nanos: 20_000_000 }, 20],
    ['a wait of nothing', {}, MIN_RETRY_AFTER_MILLIS],
    ['no delay at all', undefined, MIN_RETRY_AFTER_MILLIS],
    ['a negative delay', { seconds: -5, nanos: -1 }, MIN_RETRY_AFTER_MILLIS],
    ['the least int64', { seconds: '-9223372036854775808' }, MIN_RETRY_AFTER_MILLIS],
    ['the greatest int64', { seconds: '9223372036854775807', nanos: 2 ** 31 - 1 }, MAX_RETRY_AFTER_MILLIS],
  ])('reads %s', (_, delay, millis) => {
    expect(readRetryInfo(status(errorInfo, retryInfo(delay)))).toBe(millis);
  });

  it('finds nothing in a status without RetryInfo', () => {
    expect(readRetryInfo(status())).toBeUndefined();
    expect(readRetryInfo(status(errorInfo))).toBeUndefined();
    expect(readRetryInfo(new Uint8Array())).toBeUndefined();
  });

  it('finds nothing in a truncated, mistyped or oversized status', () => {
    const whole = status(retryInfo({ seconds: 30 }));
    for (let length = 1; length < whole.length; length++) {
      // A cut between two fields leaves a status that is whole, without its details.
      expect(readRetryInfo(whole.subarray(0, length)), `cut at ${length}`).toBeUndefined();
    }
    expect(readRetryInfo(Uint8Array.of(0x18, 0x01))).toBeUndefined(); // details as a varint
    expect(readRetryInfo(Uint8Array.of(0x1b))).toBeUndefined(); // a group
    expect(readRetryInfo(new Uint8Array(100_000).fill(0x80))).toBeUndefined();
    expect(
      readRetryInfo(Uint8Array.of(0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)),
    ).toBeUndefined();
    expect(
      readRetryInfo(encode('Status', { message: 'x'.repeat(70_000), details: [retryInfo({ seconds: 1 })] })),
    ).toBeUndefined();
  });

  it('never throws and never asks for more than a bounded positive wait, whatever the bytes', () => {
    const whole = Array.from(status(errorInfo, retryInfo({ seconds: 3, nanos: 7 })));
    const flipped = fc
      .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((flips) => flips.reduce((bytes, [at, byte]) => bytes.fill(byte, at, at + 1), Uint8Array.from(whole)));
    const inRetryInfo = fc
      .uint8Array({ maxLength: 40 })
      .map((value) => status({ type_url: 'x/google.rpc.RetryInfo', value }));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), flipped, inRetryInfo), (bytes) => {
        const millis = readRetryInfo(bytes);
        if (millis === undefined) return;
        expect(millis).toBeGreaterThanOrEqual(MIN_RETRY_AFTER_MILLIS);
        expect(millis).toBeLessThanOrEqual(MAX_RETRY_AFTER_MILLIS);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('classifyFailure over the stock gRPC exporter', () => {
  const cleanUp: Array<() => unknown> = [];
  afterEach(async () => {
    for (const undo of cleanUp.splice(0).reverse()) await undo();
  });

  it.each([
    [
      'RESOURCE_EXHAUSTED with RetryInfo',
      8,
      status(errorInfo, retryInfo({ seconds: 2, nanos: 250_000_000 })),
      'throttled',
      2_250,
    ],
    [
      'RESOURCE_EXHAUSTED with RetryInfo that says nothing',
      8,
      status(retryInfo()),
      'throttled',
      MIN_RETRY_AFTER_MILLIS,
    ],
    ['RESOURCE_EXHAUSTED without', 8, undefined, 'permanent', undefined],
    ['RESOURCE_EXHAUSTED with other details', 8, status(errorInfo), 'permanent', undefined],
    ['RESOURCE_EXHAUSTED with malformed details', 8, Uint8Array.of(0x1a, 0x7f), 'permanent', undefined],
    ['UNAVAILABLE with RetryInfo', 14, status(retryInfo({ seconds: 30 })), 'throttled', 30_000],
    ['UNAVAILABLE without', 14, undefined, 'retryable', undefined],
    ['INVALID_ARGUMENT with RetryInfo', 3, status(retryInfo({ seconds: 1 })), 'permanent', undefined],
  ])('reads %s', async (_, code, details, failure, retryAfterMillis) => {
    const error = await exportAgainst(code, details);
    expect(error).toMatchObject({ code });
    expect(classifyFailure(error)).toEqual({ failure, error, ...(retryAfterMillis && { retryAfterMillis }) });
  });

  it('takes a server that is not there for a retryable failure', async () => {
    const error = await exportTo('http://127.0.0.1:1');
    expect(classifyFailure(error)).toEqual({ failure: 'retryable', error });
  });

  async function exportAgainst(code: number, details: Uint8Array | undefined): Promise<unknown> {
    const metadata = new Metadata();
    if (details) metadata.set('grpc-status-details-bin', Buffer.from(details));
    const server = new Server();
    server.addService(TRACE_SERVICE, {
      export: (_: unknown, answer: (error: object) => void) => answer({ code, details: 'no', metadata }),
    } as UntypedServiceImplementation);
    cleanUp.push(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return exportTo(`http://127.0.0.1:${port}`);
  }

  async function exportTo(url: string): Promise<unknown> {
    const exporter = new OTLPTraceExporter({ url, timeoutMillis: 2_000 });
    cleanUp.push(() => exporter.shutdown());
    const { error } = await new Promise<{ error?: Error }>((resolve) => exporter.export([endedSpan()], resolve));
    return error;
  }
});

const bytes = (buffer: Buffer) => buffer;
const TRACE_SERVICE: ServiceDefinition = {
  export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
};

function endedSpan() {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(memory)] });
  provider.getTracer('test').startSpan('span').end();
  return memory.getFinishedSpans()[0]!;
}
