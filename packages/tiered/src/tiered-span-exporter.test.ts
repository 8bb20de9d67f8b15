import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import {
  ConfigurationError,
  deliveredOutcome,
  describeError,
  failedOutcome,
  followedBy,
  PipelineSignals,
  type SpanExporter,
  storedOutcome,
} from '@otel-resilience/core';
import { fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { batchOf, setUpScripted } from '../../../test/support/tiered.js';
import type { TieredSpanExporterOptions } from './options.js';
import { MemorySpool } from './spool/memory-spool.js';
import { TieredSpanExporter } from './tiered-span-exporter.js';

describe('TieredSpanExporter, live', () => {
  it('delivers, touches no spool and leaves no timer', async () => {
    const { clock, hot, tiered, send } = setUpScripted('delivered');
    expect(await send(2)).toEqual(deliveredOutcome(2));
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'up' }, spool: { accepted: 0 }, openExports: 0 });
    expect(clock.pendingTimers).toBe(0);
    await tiered.shutdown();
    expect(hot.shutdowns).toBe(1);
  });

  it.each(['retryable', 'throttled', 'refused', 'shutdown'] as const)(
    'stores what fails as %s, and then does not ask hot for the next batches',
    async (failure) => {
      const { hot, spool, tiered, send } = setUpScripted(failure);
      expect(await send(3)).toEqual({ delivered: 0, rejected: 0, stored: 3, dropped: {} });
      for (let i = 0; i < 5; i++) expect(await send()).toMatchObject({ stored: 1 });
      expect(hot.exports).toHaveLength(1);
      expect(tiered.stats()).toMatchObject({ hot: { kind: 'down' }, spilledSpans: 8 });
      expect(spool.stats()).toMatchObject({ accepted: 8, waiting: 8 });
    },
  );

  it('rejects what is refused for good, and stays up', async () => {
    const { tiered, send } = setUpScripted('permanent');
    expect(await send(2)).toMatchObject({ rejected: 2, stored: 0 });
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'up' }, spool: { accepted: 0 } });
  });

  it('says so when a full spool gives up its oldest batches', async () => {
    const lines: string[] = [];
    const logger = { warn: (line: string) => lines.push(line) } as unknown as DiagLogger;
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
    const clock = new VirtualClock();
    const hot = new ScriptedBatchExporter({ otherwise: 'retryable', clock });
    const spool = new MemorySpool({ maxBytes: 3 * batchOf(1).byteLength });
    const tiered = new TieredSpanExporter({ hot, spool, clock });
    const send = () =>
      tiered.exportBatch(batchOf(1), { signal: new AbortController().signal, deadline: clock.now() + 30_000 });
    for (let i = 0; i < 3; i++) await send();
    expect(lines.filter((line) => line.includes('full'))).toEqual([]);
    for (let i = 0; i < 5; i++) expect(await send()).toMatchObject({ stored: 1 });
    expect(spool.stats().dropped).toEqual({ full: 5 });
    expect(lines.filter((line) => line.includes('the spool is full'))).toEqual([
      expect.stringContaining('the oldest 1 spans were dropped'),
    ]);
    diag.disable();
    await clock.run(tiered.shutdown());
  });

  it('stores only what remains of a batch taken in part', async () => {
    const { spool, send } = setUpScripted((batch) =>
      followedBy(deliveredOutcome(3, 1), failedOutcome(batch.slice(3), 'retryable', new Error('cut'))),
    );
    expect(await send(5)).toMatchObject({ delivered: 2, rejected: 1, stored: 2 });
    expect(spool.stats()).toMatchObject({ accepted: 2 });
  });

  it.each([
    ['hotTimeoutMillis', 30_000, 5_000],
    ['a second before a deadline that is nearer', 4_000, 3_000],
    ['half of what is left of one that is very near', 600, 300],
  ])('gives up on a hung hot tier after %s, and stores before the caller gives up', async (_, left, expected) => {
    const { clock, send } = setUpScripted('hang');
    const startedAt = clock.now();
    const outcome = await clock.run(send(1, { deadline: startedAt + left }));
    expect(outcome).toMatchObject({ stored: 1 });
    expect(clock.now() - startedAt).toBe(expected);
  });

  it('does not ask hot for a caller without any time left', async () => {
    const { clock, hot, tiered, send } = setUpScripted('hang');
    expect(await send(1, { deadline: clock.now() })).toMatchObject({ stored: 1 });
    // Only the replay asks, at once, in its own time.
    expect(hot.exports.map(({ context }) => context.deadline - clock.now())).toEqual([10_000]);
    expect(tiered.stats().hot.kind).toBe('up');
  });

  it('shows why hot is down without secrets, on a short line', async () => {
    const error = new Error(`GET https://me:s3cret@a/?key=s3cret\n${'x'.repeat(5_000)}`);
    const { tiered, send } = setUpScripted({ kind: 'failed', failure: 'retryable', error });
    await send();
    const { hot } = tiered.stats();
    expect(hot).toEqual({ kind: 'down', since: expect.any(Number), error: describeError(error) });
    expect(JSON.stringify(hot)).not.toContain('s3cret');
  });

  it('hands the reason of a refusal for good to the caller, who counts it', async () => {
    const error = new Error('Not Found');
    const { tiered, send } = setUpScripted({ kind: 'failed', failure: 'permanent', error });
    expect(await send(3)).toEqual({ delivered: 0, rejected: 3, stored: 0, dropped: {}, error });
    expect(tiered.stats().hot.kind).toBe('up');
  });

  it('says why what waited in the spool was refused for good, with the count', async () => {
    const warn = vi.spyOn(diag, 'warn').mockReturnValue();
    const { clock, hot, send } = setUpScripted('retryable');
    await send(5);
    hot.respond({ kind: 'failed', failure: 'permanent', error: new Error('A: 404: Not Found') });
    await clock.advance(2_000);
    expect(warn.mock.calls.map(([line]) => line)).toContain(
      'TieredSpanExporter: 5 spans of the spool were rejected: A: 404: Not Found',
    );
    warn.mockRestore();
  });

  it('stores nothing for a caller that has given up: it has counted the spans itself', async () => {
    const { clock, spool, send, tiered } = setUpScripted('hang');
    const abort = new AbortController();
    const outcome = send(2, { signal: abort.signal });
    await clock.advance(100);
    abort.abort();
    expect(await outcome).toMatchObject({ stored: 0, remaining: { spanCount: 2 } });
    expect(spool.stats().accepted).toBe(0);
    expect(tiered.stats().hot.kind).toBe('up');
    expect(clock.pendingTimers).toBe(0);
  });

  it('counts what hot acknowledges after it was given up', async () => {
    const { clock, tiered, send } = setUpScripted({ kind: 'delivered', delayMillis: 6_000 });
    const told: number[] = [];
    await clock.run(send(4, { onLateAcknowledgement: (spans) => told.push(spans) }));
    await clock.advance(1_000);
    expect(tiered.stats().lateAcknowledged).toBe(4);
    expect(told).toEqual([4]);
  });

  it('counts what an endpoint within hot acknowledges after hot itself had given it up', async () => {
    const { hot, tiered } = setUpScripted('retryable');
    const told: number[] = [];
    const onLateAcknowledgement = (spans: number) => told.push(spans);
    const context = { signal: new AbortController().signal, deadline: 1e9, onLateAcknowledgement };
    await tiered.exportBatch(batchOf(3), context);
    hot.exports[0]!.context.onLateAcknowledgement?.(3);
    expect(tiered.stats().lateAcknowledged).toBe(3);
    expect(told).toEqual([3]);
  });

  it('waits for a slot of hot no longer than for its answer, then stores', async () => {
    const { clock, hot, send } = setUpScripted('hang', { slots: 2, hotTimeoutMillis: 1_000 });
    const startedAt = clock.now();
    const outcomes = await clock.run(Promise.all([send(), send(), send(), send()]));
    expect(outcomes.every(({ stored }) => stored === 1)).toBe(true);
    expect(clock.now() - startedAt).toBe(1_000);
    expect(hot.maxOpenExports).toBe(2);
  });

  it('sends everyone who waits for a slot to the spool as soon as hot is down', async () => {
    const { clock, hot, send } = setUpScripted({ kind: 'failed', failure: 'retryable', delayMillis: 50 }, { slots: 1 });
    const startedAt = clock.now();
    await clock.run(Promise.all([send(), send(), send()]));
    expect(clock.now() - startedAt).toBe(50);
    expect(hot.exports).toHaveLength(1);
  });

  it('is not taken down by one hung batch while others are taken', async () => {
    const { clock, hot, tiered, send } = setUpScripted('delivered');
    hot.script(['hang']);
    const hung = send();
    await clock.advance(1_000);
    expect(await send()).toMatchObject({ delivered: 1 });
    expect(await clock.run(hung)).toMatchObject({ stored: 1 });
    expect(tiered.stats().hot.kind).toBe('up');
  });
});

describe('TieredSpanExporter, overflow', () => {
  it('is in the spool before the call returns, though every slot of hot is taken, and asks nobody', async () => {
    const { hot, spool, tiered, send } = setUpScripted('hang', { slots: 2 });
    expect(tiered.takesOverflow).toBe(true);
    send();
    send();
    const burst = [send(3, { overflow: true }), send(4, { overflow: true })];
    expect(spool.size).toBe(7);
    expect(await Promise.all(burst)).toEqual([storedOutcome(3), storedOutcome(4)]);
    expect(hot.exports).toHaveLength(2);
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'up' }, spilledSpans: 7 });
  });

  it('is stored, too, by a hot tier that is down, and replayed when it is back', async () => {
    const { clock, hot, spool, send } = setUpScripted('retryable');
    await send();
    expect(await send(2, { overflow: true })).toEqual(storedOutcome(2));
    hot.respond('delivered');
    await clock.advance(2_000);
    expect(spool.stats()).toMatchObject({ accepted: 3, delivered: 3, waiting: 0 });
  });

  it('is dropped with a count where the spool has no room, and after a shutdown', async () => {
    const { clock, spool, tiered, send } = setUpScripted('hang', { spool: new MemorySpool({ maxBytes: 300 }) });
    expect(await send(4, { overflow: true })).toMatchObject({ stored: 0, dropped: { spool_full: 4 } });
    expect(await send(0, { overflow: true })).toEqual(deliveredOutcome(0));
    await clock.run(tiered.shutdown());
    expect(await send(1, { overflow: true })).toMatchObject({ stored: 0, dropped: { shutdown: 1 } });
    expect(spool.stats().accepted).toBe(0);
  });
});

describe('TieredSpanExporter, states', () => {
  it('is not brought up by an answer to what was sent before it went down', async () => {
    const { clock, hot, tiered, send } = setUpScripted('hang');
    hot.script([{ kind: 'delivered', delayMillis: 300 }, 'retryable']);
    const early = send();
    await send();
    expect(tiered.stats().hot.kind).toBe('down');
    expect(await clock.run(early)).toMatchObject({ delivered: 1 });
    expect(tiered.stats().hot.kind).toBe('down');
  });

  it('is not taken down by a failure of what was sent before it came up', async () => {
    const { clock, hot, tiered, send } = setUpScripted('delivered');
    hot.script([{ kind: 'failed', failure: 'refused', delayMillis: 900 }, 'retryable']);
    const early = send();
    await send();
    await clock.advance(600);
    expect(tiered.stats().hot.kind).toBe('up');
    expect(await clock.run(early)).toMatchObject({ stored: 1 });
    expect(tiered.stats().hot.kind).toBe('up');
  });
});

describe('TieredSpanExporter, from outside', () => {
  it('is a stock exporter to whom stored is a success', async () => {
    const { tiered } = setUpScripted('retryable');
    expect(await new Promise((resolve) => tiered.export(fakeSpans(2), resolve))).toEqual({ code: 0 });
  });

  it('adapts a stock exporter, and never calls it concurrently', async () => {
    const clock = new VirtualClock();
    let open = 0;
    let most = 0;
    const stock: SpanExporter = {
      export: (_, done) => {
        most = Math.max(most, ++open);
        clock.setTimeout(() => {
          open--;
          done({ code: 0 });
        }, 100);
      },
      shutdown: async () => {},
    };
    const tiered = new TieredSpanExporter({ hot: stock, clock });
    expect(tiered.maxConcurrentExports).toBe(1);
    const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
    const outcomes = [1, 2, 3].map((spans) => tiered.exportBatch(batchOf(spans), context));
    expect(await clock.run(Promise.all(outcomes))).toEqual([1, 2, 3].map((spans) => deliveredOutcome(spans)));
    expect(most).toBe(1);
  });

  it('publishes the filling of its spool until it is shut down', async () => {
    const signals = new PipelineSignals();
    const spool = new MemorySpool({ maxBytes: 1_000 });
    const { clock, tiered, send } = setUpScripted('retryable', { signals, spool });
    expect(signals.snapshot()).toEqual({ spoolUtilization: 0, spoolSize: 0 });
    await send(4);
    expect(signals.snapshot()).toEqual({ spoolUtilization: 0.4, spoolSize: 4 });
    await clock.run(tiered.shutdown({ deadline: clock.now() + 100 }));
    expect(signals.snapshot()).toEqual({});
  });

  it('tells signals when a batch was stored and when one has left the spool', async () => {
    const signals = new PipelineSignals();
    const { clock, hot, tiered, send } = setUpScripted('retryable', { signals });
    const sizes: Array<number | undefined> = [];
    signals.onChange(() => sizes.push(signals.read('spoolSize')));
    await send(4);
    expect(sizes).toEqual([4]);
    hot.respond('delivered');
    await clock.advance(10_000);
    expect(sizes.at(-1)).toBe(0);
    await clock.run(tiered.shutdown());
  });

  const hot = new ScriptedBatchExporter();
  it.each<[string, object]>([
    ['hot', {}],
    ['hot', { hot: { export: 1 } }],
    ['spool', { hot, spool: { append() {} } }],
    ['hotTimeoutMillis', { hot, hotTimeoutMillis: 0 }],
    ['probeIntervalMillis', { hot, probeIntervalMillis: Number.NaN }],
    ['replayTimeoutMillis', { hot, probeIntervalMillis: 1_000, replayTimeoutMillis: 999 }],
    ['replaySpansPerSecond', { hot, replaySpansPerSecond: 0 }],
    ['poisonAttempts', { hot, poisonAttempts: 1.5 }],
    ['exporter', { hot, exporter: hot }],
  ])('says which option is wrong: %s', (option, options) => {
    const construct = () => new TieredSpanExporter(options as TieredSpanExporterOptions);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(`TieredSpanExporter.${option}:`);
  });
});
