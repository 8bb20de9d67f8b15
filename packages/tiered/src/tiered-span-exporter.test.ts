import {
  ConfigurationError,
  deliveredOutcome,
  type ExportContext,
  failedOutcome,
  followedBy,
  PipelineSignals,
  SpanBatch,
  type SpanExporter,
} from '@otel-resilience/core';
import { fakeSpans, type OutcomeStep, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { TieredSpanExporterOptions } from './options.js';
import { MemorySpool } from './spool/memory-spool.js';
import type { SpanSpool } from './spool/spool.js';
import { TieredSpanExporter } from './tiered-span-exporter.js';

const batchOf = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans), { byteLength: 100 * spans });

function setUp(respond: OutcomeStep, options: Partial<TieredSpanExporterOptions> & { slots?: number } = {}) {
  const { slots: maxConcurrentExports, ...rest } = options;
  const clock = new VirtualClock();
  const hot = new ScriptedBatchExporter({ otherwise: respond, maxConcurrentExports, clock });
  const spool = new MemorySpool();
  const tiered = new TieredSpanExporter({ hot, spool, clock, ...rest });
  const send = (spans = 1, context: Partial<ExportContext> = {}) =>
    tiered.exportBatch(batchOf(spans), {
      signal: new AbortController().signal,
      deadline: clock.now() + 30_000,
      ...context,
    });
  return { clock, hot, spool, tiered, send };
}

describe('TieredSpanExporter, live', () => {
  it('delivers, touches no spool and leaves no timer', async () => {
    const { clock, hot, tiered, send } = setUp('delivered');
    expect(await send(2)).toEqual(deliveredOutcome(2));
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'up' }, spool: { accepted: 0 }, openExports: 0 });
    expect(clock.pendingTimers).toBe(0);
    await tiered.shutdown();
    expect(hot.shutdowns).toBe(1);
  });

  it.each(['retryable', 'throttled', 'refused', 'shutdown'] as const)(
    'stores what fails as %s, and then does not ask hot for the next batches',
    async (failure) => {
      const { hot, spool, tiered, send } = setUp(failure);
      expect(await send(3)).toEqual({ delivered: 0, rejected: 0, stored: 3, dropped: {} });
      for (let i = 0; i < 5; i++) expect(await send()).toMatchObject({ stored: 1 });
      expect(hot.exports).toHaveLength(1);
      expect(tiered.stats()).toMatchObject({ hot: { kind: 'down' }, spilledSpans: 8 });
      expect(spool.stats()).toMatchObject({ accepted: 8, waiting: 8 });
    },
  );

  it('rejects what is refused for good, and stays up', async () => {
    const { tiered, send } = setUp('permanent');
    expect(await send(2)).toMatchObject({ rejected: 2, stored: 0 });
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'up' }, spool: { accepted: 0 } });
  });

  it('stores only what remains of a batch taken in part', async () => {
    const { spool, send } = setUp((batch) =>
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
    const { clock, send } = setUp('hang');
    const startedAt = clock.now();
    const outcome = await clock.run(send(1, { deadline: startedAt + left }));
    expect(outcome).toMatchObject({ stored: 1 });
    expect(clock.now() - startedAt).toBe(expected);
  });

  it('stores nothing for a caller that has given up: it has counted the spans itself', async () => {
    const { clock, spool, send, tiered } = setUp('hang');
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
    const { clock, tiered, send } = setUp({ kind: 'delivered', delayMillis: 6_000 });
    await clock.run(send(4));
    await clock.advance(1_000);
    expect(tiered.stats().lateAcknowledged).toBe(4);
  });

  it('waits for a slot of hot no longer than for its answer, then stores', async () => {
    const { clock, hot, send } = setUp('hang', { slots: 2, hotTimeoutMillis: 1_000 });
    const startedAt = clock.now();
    const outcomes = await clock.run(Promise.all([send(), send(), send(), send()]));
    expect(outcomes.every(({ stored }) => stored === 1)).toBe(true);
    expect(clock.now() - startedAt).toBe(1_000);
    expect(hot.maxOpenExports).toBe(2);
  });

  it('sends everyone who waits for a slot to the spool as soon as hot is down', async () => {
    const { clock, hot, send } = setUp({ kind: 'failed', failure: 'retryable', delayMillis: 50 }, { slots: 1 });
    const startedAt = clock.now();
    await clock.run(Promise.all([send(), send(), send()]));
    expect(clock.now() - startedAt).toBe(50);
    expect(hot.exports).toHaveLength(1);
  });

  it('is not taken down by one hung batch while others are taken', async () => {
    const { clock, hot, tiered, send } = setUp('delivered');
    hot.script(['hang']);
    const hung = send();
    await clock.advance(1_000);
    expect(await send()).toMatchObject({ delivered: 1 });
    expect(await clock.run(hung)).toMatchObject({ stored: 1 });
    expect(tiered.stats().hot.kind).toBe('up');
  });
});

describe('TieredSpanExporter, states', () => {
  it('is not brought up by an answer to what was sent before it went down', async () => {
    const { clock, hot, tiered, send } = setUp('retryable');
    hot.script([{ kind: 'delivered', delayMillis: 300 }]);
    const early = send();
    await send();
    expect(tiered.stats().hot.kind).toBe('down');
    expect(await clock.run(early)).toMatchObject({ delivered: 1 });
    expect(tiered.stats().hot.kind).toBe('down');
  });

  it('is not taken down by a failure of what was sent before it came up', async () => {
    const { clock, hot, tiered, send } = setUp('delivered');
    hot.script([{ kind: 'failed', failure: 'refused', delayMillis: 900 }, 'retryable']);
    const early = send();
    await send();
    await clock.advance(600);
    expect(tiered.stats().hot.kind).toBe('up');
    expect(await clock.run(early)).toMatchObject({ stored: 1 });
    expect(tiered.stats().hot.kind).toBe('up');
  });
});

describe('TieredSpanExporter, when its spool cannot help', () => {
  it('counts what does not fit, and what a broken spool does not take', async () => {
    const full = setUp('retryable', { spool: new MemorySpool({ maxBytes: 250 }) });
    expect(await full.send(3)).toEqual({ delivered: 0, rejected: 0, stored: 0, dropped: { spool_full: 3 } });
    const broken = setUp('retryable', { spool: spoolThat({ append: () => Promise.reject(new Error('EIO')) }) });
    expect(await broken.send(3)).toEqual({ delivered: 0, rejected: 0, stored: 0, dropped: { spool_failed: 3 } });
  });

  it('answers in time when the spool does not, and counts what it stores later', async () => {
    const append = ({ spanCount }: SpanBatch) => later({ stored: spanCount, dropped: 0 }, 40_000);
    const later = <T>(value: T, millis: number) =>
      new Promise<T>((resolve) => clock.setTimeout(() => resolve(value), millis));
    const { clock, tiered, send } = setUp('retryable', { spool: spoolThat({ append }) });
    const startedAt = clock.now();
    expect(await clock.run(send(2))).toMatchObject({ dropped: { spool_failed: 2 } });
    expect(clock.now() - startedAt).toBe(30_000);
    await clock.advance(10_000);
    expect(tiered.stats().lateStored).toBe(2);
  });

  it('reads a spool that fails to lease once a second, in a hurry too, and recovers with it', async () => {
    const spool = new MemorySpool();
    let leases = 0;
    let broken = true;
    const lease = () => {
      leases++;
      return broken ? Promise.reject(new Error('EIO')) : spool.lease();
    };
    const { clock, tiered, send } = setUp('delivered', {
      spool: spoolThat({ lease }, spool),
    });
    await spool.append(batchOf(3));
    await send();
    await clock.advance(10_000);
    expect(leases).toBe(11);
    const stopped = tiered.shutdown({ deadline: clock.now() + 10_000 });
    await clock.advance(2_500);
    expect(leases).toBe(13);
    broken = false;
    await clock.run(stopped);
    expect(spool.stats()).toMatchObject({ delivered: 3, waiting: 0 });
  });

  it('goes on asking hot while nothing waits that could be a probe', async () => {
    const { hot, tiered, send } = setUp('retryable', { spool: new MemorySpool({ maxBytes: 1 }) });
    await send();
    await send();
    expect(hot.exports.map(({ context }) => context.lastResort === true)).toEqual([false, true]);
    hot.respond('delivered');
    expect(await send()).toMatchObject({ delivered: 1 });
    expect(tiered.stats().hot.kind).toBe('up');
  });
});

describe('TieredSpanExporter.forceFlush', () => {
  it('resolves when what was open and what waited has been delivered, probing on the way', async () => {
    const { clock, hot, tiered, send } = setUp('retryable');
    await send();
    const flushed = tiered.forceFlush();
    await clock.advance(7_777);
    expect(hot.deliveredCount).toBe(0);
    hot.respond({ kind: 'delivered', delayMillis: 20 });
    const startedAt = clock.now();
    await clock.run(flushed);
    expect(hot.deliveredCount).toBe(1);
    expect(clock.now() - startedAt).toBeLessThan(1_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects at its deadline while hot is down, or while a live export hangs', async () => {
    for (const respond of ['retryable', 'hang'] as const) {
      const { clock, tiered, send } = setUp(respond);
      send();
      const startedAt = clock.now();
      const flushed = tiered.forceFlush({ deadline: startedAt + 3_000 });
      await expect(clock.run(flushed)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(clock.now() - startedAt).toBe(3_000);
    }
  });

  it('does not wait for a durable spool, and rejects when a shutdown ends the replay', async () => {
    const durable = setUp('retryable', { spool: spoolThat({ durable: true }) });
    await durable.send();
    await durable.tiered.forceFlush();
    const { clock, tiered, send } = setUp('retryable');
    await send();
    const flushed = tiered.forceFlush({ deadline: clock.now() + 20_000 });
    const failed = expect(flushed).rejects.toMatchObject({ code: 'SHUTDOWN' });
    await clock.run(tiered.shutdown({ deadline: clock.now() + 1_000 }));
    await failed;
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('TieredSpanExporter.shutdown', () => {
  it('drops with a count what is left at the deadline, and reaches hot and spool', async () => {
    const { clock, hot, spool, tiered, send } = setUp('retryable');
    await send(3);
    const startedAt = clock.now();
    await clock.run(tiered.shutdown({ deadline: startedAt + 3_000 }));
    expect(clock.now() - startedAt).toBeLessThanOrEqual(3_000);
    expect(spool.stats()).toMatchObject({ dropped: { shutdown: 3 }, waiting: 0, balanced: true });
    expect(hot.shutdowns).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('delivers what it can within the deadline, as fast as hot takes it', async () => {
    const { clock, hot, spool, tiered, send } = setUp('retryable', { replaySpansPerSecond: 1 });
    for (let i = 0; i < 20; i++) await send(50);
    const stopped = tiered.shutdown({ deadline: clock.now() + 10_000 });
    await clock.advance(4_000);
    hot.respond({ kind: 'delivered', delayMillis: 20 });
    await clock.run(stopped);
    expect(spool.stats()).toMatchObject({ delivered: 1_000, dropped: {}, balanced: true });
  });

  it('takes what is still open, or still comes, into the spool before it closes', async () => {
    const { clock, spool, tiered, send } = setUp('hang', { hotTimeoutMillis: 60_000 });
    const open = send(2);
    const stopped = tiered.shutdown({ deadline: clock.now() + 2_000 });
    expect(await send(1)).toMatchObject({ stored: 1 });
    await clock.run(stopped);
    expect(await open).toMatchObject({ stored: 2 });
    expect(spool.stats()).toMatchObject({ accepted: 3, dropped: { shutdown: 3 }, balanced: true });
    expect(await send(1)).toMatchObject({ stored: 0, dropped: { shutdown: 1 } });
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves a durable spool as it is', async () => {
    const spool = spoolThat({ durable: true });
    const { clock, tiered, send } = setUp('retryable', { spool });
    await send(3);
    const startedAt = clock.now();
    await clock.run(tiered.shutdown());
    expect(clock.now()).toBe(startedAt);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends by its deadline with a spool that hangs', async () => {
    const never = () => new Promise<never>(() => {});
    for (const broken of [{ append: never }, { lease: never }, { shutdown: never }]) {
      const { clock, hot, tiered, send } = setUp('retryable', { spool: spoolThat(broken) });
      send();
      await clock.advance(2_000);
      const startedAt = clock.now();
      await clock.run(tiered.shutdown({ deadline: startedAt + 2_000 }));
      expect(clock.now() - startedAt).toBeLessThanOrEqual(2_000);
      expect(hot.shutdowns).toBe(1);
    }
  });
});

describe('TieredSpanExporter, from outside', () => {
  it('is a stock exporter to whom stored is a success', async () => {
    const { tiered } = setUp('retryable');
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
    const { clock, tiered, send } = setUp('retryable', { signals, spool });
    expect(signals.snapshot()).toEqual({ spoolUtilization: 0, spoolSize: 0 });
    await send(4);
    expect(signals.snapshot()).toEqual({ spoolUtilization: 0.4, spoolSize: 4 });
    await clock.run(tiered.shutdown({ deadline: clock.now() + 100 }));
    expect(signals.snapshot()).toEqual({});
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

function spoolThat(differs: Partial<SpanSpool>, spool = new MemorySpool()): SpanSpool {
  return {
    append: (batch) => spool.append(batch),
    lease: () => spool.lease(),
    get size() {
      return spool.size;
    },
    get bytes() {
      return spool.bytes;
    },
    maxBytes: spool.maxBytes,
    durable: false,
    stats: () => spool.stats(),
    shutdown: async () => {},
    ...differs,
  };
}
