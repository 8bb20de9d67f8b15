import { metrics } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualMetrics } from '../../../test/support/metrics.js';
import { readEndpointUrl } from './endpoint-url.js';
import { answered, setUp } from './scripted-transport.test-support.js';

const INFLIGHT = 'otel.sdk.exporter.span.inflight';
const EXPORTED = 'otel.sdk.exporter.span.exported';
const DURATION = 'otel.sdk.exporter.operation.duration';

let read: ReturnType<typeof manualMetrics>;

beforeEach(() => {
  read = manualMetrics();
  metrics.setGlobalMeterProvider(read.provider);
});

afterEach(() => metrics.disable());

/** Without what is the same for every point of one exporter, which is checked here. */
async function points(name: string, type: string) {
  return (await read.points(name)).map(({ value, attributes }) => {
    const { 'otel.component.type': component, 'otel.component.name': own, ...rest } = attributes;
    expect(component).toBe(type);
    expect(own).toMatch(new RegExp(`^${type}/\\d+$`));
    return { value, ...rest };
  });
}

describe('otel.sdk.exporter.*', () => {
  it('of HTTP: spans by fate, one duration per export, with the status of the last request', async () => {
    const options = { protocol: 'http/protobuf', metrics: true } as const;
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const partly = Uint8Array.from([0x0a, 2, 0x08, 1]);
    const { send, exporter } = setUp(options, 'accept', answered(503), refused, partly);
    for (let i = 0; i < 4; i++) await send(3);

    const server = { 'server.address': 'collector', 'server.port': 4317 };
    const status = (code: number) => ({ 'http.response.status_code': code });
    const type = 'otlp_http_span_exporter';
    expect(await points(INFLIGHT, type)).toEqual([{ value: 0, ...server }]);
    expect(await points(EXPORTED, type)).toEqual([
      { value: 3 + 2, ...server },
      { value: 3, ...server, 'error.type': '503' },
      { value: 3, ...server, 'error.type': 'ECONNREFUSED' },
      { value: 1, ...server, 'error.type': 'rejected' },
    ]);
    expect(await points(DURATION, type)).toEqual([
      { value: 1, ...server, ...status(200) },
      { value: 1, ...server, ...status(503), 'error.type': '503' },
      { value: 1, ...server, 'error.type': 'ECONNREFUSED' },
      { value: 1, ...server, ...status(200), 'error.type': 'rejected' },
    ]);
    await exporter.shutdown();
  });

  it('of gRPC over a unix socket, where a request is repeated and nobody waits', async () => {
    const endpoint = readEndpointUrl('unix:/run/otel.sock', 'grpc');
    const headers = { base: {}, headers: () => ({ a: '1' }), timeoutMillis: 5_000 };
    const { send, exporter, clock } = setUp(
      { endpoint, headers, metrics: true },
      answered(16),
      'accept',
      answered(14),
      'hang',
    );
    await send(3);
    await send(3);
    const hanging = send(5);
    await clock.advance(0);
    const server = { 'server.address': '/run/otel.sock' };
    const type = 'otlp_grpc_span_exporter';
    expect(await points(INFLIGHT, type)).toEqual([{ value: 5, ...server }]);
    expect(await points(EXPORTED, type)).toEqual([
      { value: 3, ...server },
      { value: 3, ...server, 'error.type': 'UNAVAILABLE' },
    ]);
    expect(await points(DURATION, type)).toEqual([
      { value: 1, ...server, 'rpc.response.status_code': 'OK' },
      { value: 1, ...server, 'rpc.response.status_code': 'UNAVAILABLE', 'error.type': 'UNAVAILABLE' },
    ]);
    await clock.run(exporter.shutdown());
    expect(await hanging).toMatchObject({ failure: 'shutdown' });
  });

  it('have a bounded number of error types, whatever servers answer', async () => {
    const { send, transport, exporter } = setUp({ protocol: 'http/protobuf', metrics: true });
    let code = 300;
    transport.respond = () => answered(code++);
    for (let i = 0; i < 200; i++) await send(1);
    const exported = await read.points(EXPORTED);
    expect(exported.length).toBeLessThanOrEqual(52);
    expect(exported.reduce((sum, { value }) => sum + value, 0)).toBe(200);
    await exporter.shutdown();
  });

  it('are not there when they are not wanted', async () => {
    const { send, exporter } = setUp({ metrics: false });
    await send(3);
    for (const name of [INFLIGHT, EXPORTED, DURATION]) expect(await read.points(name)).toEqual([]);
    await exporter.shutdown();
  });
});
