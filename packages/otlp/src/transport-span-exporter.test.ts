import { diag } from '@opentelemetry/api';
import {
  accountedFor,
  decodeSpans,
  ExportError,
  type ExportOutcome,
  type ReadableSpan,
  SpanBatch,
} from '@otel-resilience/core';
import { fakeSpan, fakeSpans } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OtlpRequest } from './otlp-transport.js';
import { answered, setUp } from './scripted-transport.test-support.js';

const ids = (requests: readonly OtlpRequest[]) =>
  requests.flatMap(({ chunks }) => decodeSpans(chunks).map((span) => span.spanContext().spanId));
const idsOf = (spans: readonly ReadableSpan[]) => spans.map((span) => span.spanContext().spanId);
const bytes = (...values: number[]) => Uint8Array.from(values);

describe('an export', () => {
  it('is one request with the bytes of the batch, and delivered when it is accepted', async () => {
    const { send, transport } = setUp();
    const spans = fakeSpans(5);
    expect(await send(spans)).toMatchObject({ delivered: 5, rejected: 0, stored: 0, dropped: {} });
    expect(transport.requests).toHaveLength(1);
    expect(ids(transport.requests)).toEqual(idsOf(spans));
    const [{ byteLength, chunks }] = transport.requests as [OtlpRequest];
    expect(byteLength).toBe(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  });

  it('of an empty batch asks the server all the same: that is a health check', async () => {
    const { send, transport } = setUp();
    expect(await send(0)).toMatchObject({ delivered: 0 });
    expect(transport.requests.map(({ byteLength }) => byteLength)).toEqual([0]);
  });

  it('may take as long as the caller has, and never longer than timeoutMillis', async () => {
    const { send, transport, clock } = setUp({ timeoutMillis: 1_000 });
    const now = clock.now();
    await send(1, 400);
    await send(1, 4_000);
    expect(transport.requests.map(({ deadline }) => deadline - now)).toEqual([400, 1_000]);
  });

  it('fails as the transport says', async () => {
    const hint = { retryAfter: '2' };
    const { send } = setUp(
      { protocol: 'http/protobuf' },
      answered(503),
      answered(429, '', hint),
      answered(404),
      Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
      new ExportError('DEADLINE_EXCEEDED', 'late'),
    );
    expect(await send()).toMatchObject({ failure: 'retryable', error: { code: 503 } });
    expect(await send()).toMatchObject({ failure: 'throttled', retryAfterMillis: 2_000 });
    expect(await send()).toMatchObject({ failure: 'permanent' });
    expect(await send()).toMatchObject({ failure: 'retryable', error: { code: 'ECONNREFUSED' } });
    expect(await send()).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
  });

  it('never rejects, whatever the transport throws and whatever the bytes are', async () => {
    const { transport, exporter, context, send } = setUp({ maxRequestBytes: 10 });
    transport.respond = () => {
      throw undefined;
    };
    const summary = SpanBatch.fromSpans(fakeSpans(4)).summary;
    const garbage = SpanBatch.fromBytes([new Uint8Array(100).fill(0xff)], summary);
    const outcome = await exporter.exportBatch(garbage, context());
    expect(accountedFor(outcome)).toBe(4);
    expect(accountedFor(await send(3))).toBe(3);
  });

  it('is cut off when its caller gives up, with the reason of the caller', async () => {
    const { send, transport, abort, clock } = setUp({}, 'hang');
    const outcome = send();
    await clock.advance(0);
    expect(transport.requests[0]!.signal.aborted).toBe(false);
    abort.abort(new ExportError('DEADLINE_EXCEEDED', 'given up'));
    expect(await outcome).toMatchObject({ failure: 'retryable', error: { message: 'given up' } });
    expect(transport.requests[0]!.signal.aborted).toBe(true);
    expect(await send()).toMatchObject({ failure: 'retryable' });
    expect(transport.requests).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('drops spans that cannot be encoded, and sends the others', async () => {
    const { send, transport } = setUp({}, answered(14));
    const unreadable = { ...fakeSpan(), spanContext: () => ({ traceId: 'nonsense', spanId: 'too', traceFlags: 1 }) };
    const good = fakeSpans(3);
    const spans = [good[0]!, unreadable, good[1]!, unreadable, good[2]!];
    const failed = await send(spans);
    expect(failed).toMatchObject({ delivered: 0, dropped: { unreadable: 2 }, failure: 'retryable' });
    expect(failed.remaining?.spanCount).toBe(3);
    expect(await send(spans)).toMatchObject({ delivered: 3, dropped: { unreadable: 2 } });
    expect(ids(transport.requests.slice(1))).toEqual(idsOf(good));
    expect(await send([unreadable])).toEqual({ delivered: 0, rejected: 0, stored: 0, dropped: { unreadable: 1 } });
    expect(transport.requests).toHaveLength(2);
  });

  it('logs which endpoint has rejected how many of how many spans, and why', async () => {
    const lines: string[] = [];
    const log = (...parts: unknown[]) => lines.push(parts.join(' '));
    diag.setLogger({ error: log, warn: log, info: log, debug: log, verbose: log }, { suppressOverrideMessage: true });
    try {
      const { send, exporter } = setUp({}, bytes(0x0a, 7, 0x08, 2, 0x12, 3, ...Buffer.from('old')));
      await send(3);
      expect(lines.join('\n')).toContain(`${exporter.url} rejected 2 of 3 spans: old`);
    } finally {
      diag.disable();
    }
  });

  it('counts what a partial success rejects, within what was sent', async () => {
    const minusOne = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    const { send } = setUp(
      {},
      bytes(0x0a, 2, 0x08, 2),
      bytes(0x0a, 2, 0x08, 100),
      bytes(0x0a, 11, 0x08, ...minusOne),
      bytes(0x0a, 7, 0x08), // cut off
    );
    expect(await send(3)).toMatchObject({ delivered: 1, rejected: 2 });
    expect(await send(3)).toMatchObject({ delivered: 0, rejected: 3 });
    expect(await send(3)).toMatchObject({ delivered: 3, rejected: 0 });
    expect(await send(3)).toMatchObject({ delivered: 3, rejected: 0 });
  });
});

describe('a request that is too large', () => {
  const big = (size: number) => fakeSpan({ attributes: { payload: 'x'.repeat(size) } });

  it('is split before it is sent when it is over maxRequestBytes', async () => {
    const { send, transport } = setUp({ maxRequestBytes: 4_000 });
    const spans = fakeSpans(40);
    expect(await send(spans)).toMatchObject({ delivered: 40 });
    expect(transport.requests.every(({ byteLength }) => byteLength <= 4_000)).toBe(true);
    expect(ids(transport.requests).sort()).toEqual(idsOf(spans).sort());
  });

  it('costs only the spans that are too large by themselves', async () => {
    const { send, transport } = setUp({ maxRequestBytes: 4_000 });
    const spans = [...fakeSpans(5), big(5_000), ...fakeSpans(5)];
    expect(await send(spans)).toMatchObject({ delivered: 10, rejected: 1 });
    expect(ids(transport.requests)).toHaveLength(10);
  });

  it('is permanent when nothing of it can be sent: another endpoint may have another limit', async () => {
    const { send, transport } = setUp({ maxRequestBytes: 4_000 });
    const outcome = await send([big(5_000)]);
    expect(outcome).toMatchObject({ failure: 'permanent', error: { name: 'RequestTooLargeError' } });
    expect(outcome.remaining?.spanCount).toBe(1);
    expect(transport.requests).toEqual([]);
  });

  it.each([
    ['http/protobuf', answered(413)],
    ['http/protobuf', answered(400, 'http: request body too large')],
    ['grpc', answered(8, 'grpc: received message larger than max (9000 vs. 2000)')],
    ['grpc', answered(11, 'Error, decoded message length too large: found 9000 bytes, the limit is: 2000 bytes')],
  ] as const)('over %s is split when the server says so: %s', async (protocol, refusal) => {
    const { send, transport } = setUp({ protocol });
    transport.respond = ({ byteLength }) => (byteLength > 2_000 ? refusal : 'accept');
    const spans = [...fakeSpans(20), big(2_500)];
    expect(await send(spans)).toMatchObject({ delivered: 20, rejected: 1 });
  });

  it('is not split when the server says no for another reason', async () => {
    const { send, transport } = setUp({ protocol: 'http/protobuf' }, answered(400, 'no such tenant'));
    expect(await send(20)).toMatchObject({ failure: 'permanent' });
    expect(transport.requests).toHaveLength(1);
  });

  it('keeps what is left when a part fails, with its reason and its hint', async () => {
    const { send, transport } = setUp({ protocol: 'http/protobuf', maxRequestBytes: 4_000 });
    const spans = fakeSpans(40);
    transport.respond = () => (transport.requests.length > 2 ? answered(429, '', { retryAfter: 3 }) : 'accept');
    const outcome = await send(spans);
    expect(outcome).toMatchObject({ failure: 'throttled', retryAfterMillis: 3_000 });
    const accepted = ids(transport.requests.slice(0, 2));
    expect(outcome.delivered).toBe(accepted.length);
    const left = idsOf(outcome.remaining!.spans());
    expect([...accepted, ...left].sort()).toEqual(idsOf(spans).sort());
  });

  it('sends no further part once time is up, or nobody waits any more', async () => {
    const { send, transport, clock, abort } = setUp({ maxRequestBytes: 4_000 });
    transport.respond = async (): Promise<'accept'> => {
      if (transport.requests.length === 2) await clock.advance(1_000);
      return 'accept';
    };
    const late = await send(40, 500);
    expect(late).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(accountedFor(late)).toBe(40);
    transport.respond = () => {
      abort.abort(new ExportError('SHUTDOWN', 'over'));
      return 'accept';
    };
    const cut = await send(40);
    expect(cut).toMatchObject({ failure: 'shutdown' });
    expect(accountedFor(cut)).toBe(40);
  });

  it('property: whatever the limits and the answers, every span is accounted for once', async () => {
    const step = fc.constantFrom('accept' as const, answered(413), answered(503), answered(400), answered(404));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 500, max: 8_000 }),
        fc.array(step, { maxLength: 20 }),
        async (sizes, maxRequestBytes, steps) => {
          const { send, transport } = setUp({ protocol: 'http/protobuf', maxRequestBytes }, ...steps);
          const outcome: ExportOutcome = await send(sizes.map(big));
          expect(accountedFor(outcome)).toBe(sizes.length);
          expect(transport.requests.length).toBeLessThanOrEqual(256);
          expect(transport.requests.every(({ byteLength }) => byteLength <= maxRequestBytes)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('several exports at a time', () => {
  it('are as many as maxConcurrentExports, and the others wait for their turn', async () => {
    const { send, transport, exporter } = setUp({ maxConcurrentExports: 2 });
    expect(exporter.maxConcurrentExports).toBe(2);
    const outcomes = await Promise.all(Array.from({ length: 9 }, () => send(1)));
    expect(outcomes.every(({ delivered }) => delivered === 1)).toBe(true);
    expect(transport.maxOpen).toBe(2);
  });

  it('wait for no longer than they have, and are refused then: nobody was asked', async () => {
    const { send, transport, clock } = setUp({ maxConcurrentExports: 1 }, 'hang', 'accept');
    const first = send(1);
    const second = send(1, 300);
    const third = send(1);
    await clock.advance(300);
    expect(await second).toMatchObject({ failure: 'refused' });
    expect(transport.requests).toHaveLength(1);
    (transport.requests[0]!.signal as AbortSignal & { aborted: boolean }).dispatchEvent(new Event('abort'));
    await first;
    expect(await third).toMatchObject({ delivered: 1 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('give their place up when their caller does', async () => {
    const { send, clock, abort, transport } = setUp({ maxConcurrentExports: 1 }, 'hang');
    const outcomes = [send(1), send(1)];
    await clock.advance(0);
    abort.abort(new ExportError('SHUTDOWN', 'over'));
    expect((await Promise.all(outcomes)).map(({ failure }) => failure)).toEqual(['shutdown', 'shutdown']);
    expect(transport.requests).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('flush and shutdown', () => {
  it('forceFlush waits for what is open', async () => {
    const { send, exporter, transport, clock } = setUp();
    let accept = () => {};
    const gate = new Promise<void>((resolve) => {
      accept = resolve;
    });
    const original = transport.send.bind(transport);
    transport.send = async (request) => {
      await gate;
      return original(request);
    };
    const outcome = send();
    let flushed = false;
    const flush = exporter.forceFlush({ deadline: clock.now() + 1_000 }).then(() => {
      flushed = true;
    });
    await clock.advance(500);
    expect(flushed).toBe(false);
    accept();
    await Promise.all([outcome, flush]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('forceFlush rejects at its deadline', async () => {
    const { send, exporter, clock, abort } = setUp({}, 'hang');
    const outcome = send();
    const flush = exporter.forceFlush({ deadline: clock.now() + 1_000 });
    await clock.run(expect(flush).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' }));
    abort.abort(new ExportError('SHUTDOWN', 'over'));
    await outcome;
  });

  it('shutdown lets what is open end, then closes the transport, and takes no more', async () => {
    const { send, exporter, transport, clock } = setUp();
    const outcome = send();
    await clock.run(exporter.shutdown());
    expect(await outcome).toMatchObject({ delivered: 3 });
    expect(transport.shutdowns).toBe(1);
    expect(await send()).toMatchObject({ failure: 'shutdown' });
    expect(transport.requests).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('shutdown ends what hangs shortly before its deadline, and the transport after it', async () => {
    const { send, exporter, transport, clock } = setUp({ maxConcurrentExports: 1 }, 'hang');
    const outcomes = [send(), send()];
    const end = exporter.shutdown({ deadline: clock.now() + 1_000 });
    await clock.advance(899);
    expect(transport.open).toBe(1);
    await clock.advance(1);
    expect((await Promise.all(outcomes)).map(({ failure }) => failure)).toEqual(['shutdown', 'shutdown']);
    await clock.run(end);
    expect(transport.shutdowns).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('shutdown ends in time although the transport cannot', async () => {
    const { exporter, transport, clock } = setUp();
    transport.shutdown = () => new Promise(() => {});
    const startedAt = clock.now();
    await clock.run(exporter.shutdown({ deadline: startedAt + 1_000 }));
    expect(clock.now() - startedAt).toBeLessThanOrEqual(1_000);
  });

  it('is a stock exporter too', async () => {
    const { exporter } = setUp({}, 'accept', answered(3, 'no'));
    const result = () => new Promise((resolve) => exporter.export(fakeSpans(2), resolve));
    expect(await result()).toEqual({ code: 0 });
    expect(await result()).toMatchObject({ code: 1, error: { code: 3 } });
  });
});
