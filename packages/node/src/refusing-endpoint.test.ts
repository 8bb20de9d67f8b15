import { diag } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { CountingReceiver, fakeSpan, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { resilience } from './resilience.js';

let warn: MockInstance<typeof diag.warn>;
const lines = () => warn.mock.calls.map(([line]) => line);

beforeEach(() => {
  warn = vi.spyOn(diag, 'warn').mockReturnValue();
});
afterEach(() => warn.mockRestore());

const WAYS = (['otlp', 'stock'] as const).flatMap((transport) => [
  { transport, protocol: 'grpc' as const, status: 12 },
  { transport, protocol: 'grpc' as const, status: 16 },
  ...[302, 401, 403, 404].map((status) => ({ transport, protocol: 'http/protobuf' as const, status })),
]);

describe.each(WAYS)('an endpoint that answers $status, over $protocol by $transport', (way) => {
  const { transport, protocol, status } = way;

  it('is named in log, status and flush, with what it said and how many spans that cost', async () => {
    const receiver = new CountingReceiver({ protocol });
    const url = await receiver.start();
    receiver.respond({ kind: 'error', status, message: 'no such thing' });
    const r = resilience({ transport, endpoints: [{ url, protocol, name: 'mistyped' }] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    for (let i = 0; i < 12; i++) provider.getTracer('test').startSpan('a').end();
    const said = new RegExp(`12 spans were not exported.*: mistyped: .*\\b${status}\\b`);
    await expect(r.forceFlush()).rejects.toMatchObject({
      message: expect.stringMatching(said),
      cause: { message: expect.stringMatching(/^mistyped: /) },
    });
    const shown = () => r.status().endpoints[0]!;
    expect(shown()).toMatchObject({
      state: 'closed',
      rejecting: { message: expect.stringMatching(new RegExp(`\\b${status}\\b`)), spans: 12 },
      lastFailure: { failure: 'permanent' },
      counts: { rejectedSpans: 12 },
    });
    expect(r.status().totals).toMatchObject({ rejected: 12, delivered: 0 });
    expect(lines().filter((line) => said.test(line))).toHaveLength(1);
    await r.shutdown();
    expect(shown().lastFailure).toMatchObject({ failure: 'permanent' });
    await receiver.stop();
  });
});

describe('an endpoint that is away', () => {
  const away = () => {
    const clock = new VirtualClock();
    const error = Object.assign(new Error('POST https://me:s3cret@gw/v1/traces'), { code: 'ECONNREFUSED' });
    const exporter = new ScriptedExporter({ otherwise: { kind: 'failure', error } });
    const r = resilience({ clock, exporters: [{ name: 'gateway', exporter }] });
    for (let i = 0; i < 3; i++) r.sdk.spanProcessors[0]!.onEnd(fakeSpan());
    return { clock, r };
  };

  it('is named by log, status and flush with how it failed, without secrets, after a shutdown too', async () => {
    const { clock, r } = away();
    await expect(clock.run(r.forceFlush())).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringMatching(/3 spans wait in the spool: .*gateway.*ECONNREFUSED/),
      cause: { message: expect.stringContaining('gateway') },
    });
    const check = () => {
      const { tiered, endpoints } = r.status();
      expect(tiered.hot).toMatchObject({ kind: 'down', error: expect.stringMatching(/gateway.*ECONNREFUSED/) });
      expect(endpoints[0]!.lastFailure).toMatchObject({ failure: 'retryable' });
      expect(JSON.stringify([r.status(), lines()])).not.toContain('s3cret');
    };
    check();
    await clock.run(r.shutdown());
    check();
    expect(lines()).toContainEqual(expect.stringMatching(/the hot tier is down, .*gateway.*ECONNREFUSED/));
  });
});
