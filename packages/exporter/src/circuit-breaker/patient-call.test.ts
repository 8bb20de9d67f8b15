import { DiagLogLevel, diag } from '@opentelemetry/api';
import { deliveredOutcome, type ExportContext, ExportError, failedOutcome } from '@otel-resilience/core';
import { ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { batch } from '../../../../test/support/failover.js';
import { CircuitBreakerSpanExporter } from './circuit-breaker-span-exporter.js';

const ATTEMPT_MILLIS = 2_000;

function collectLogs(): string[] {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const logger = { error: log, warn: log, info: log, debug: log, verbose: log };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  return lines;
}

afterEach(() => diag.disable());

/** A breaker that never opens, over a leaf that answers after `latency.millis`, or ends when it is cancelled. */
function setUp({ latencyMillis = Number.POSITIVE_INFINITY, maxConcurrentExports = 10 } = {}) {
  const clock = new VirtualClock();
  const latency = { millis: latencyMillis };
  let open = 0;
  let maxOpen = 0;
  const cancelled: unknown[] = [];
  const leaf = new ScriptedBatchExporter({
    clock,
    maxConcurrentExports,
    otherwise: (all, { signal }) =>
      new Promise((resolve) => {
        maxOpen = Math.max(maxOpen, ++open);
        const timer = clock.setTimeout(() => settle(deliveredOutcome(all.spanCount)), latency.millis);
        const settle = (outcome: Parameters<typeof resolve>[0]) => {
          open--;
          clock.clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          resolve(outcome);
        };
        const onAbort = () => {
          cancelled.push(signal.reason.code);
          settle(failedOutcome(all, 'retryable', signal.reason));
        };
        signal.addEventListener('abort', onAbort);
      }),
  });
  const guarded = new CircuitBreakerSpanExporter({ exporter: leaf, strategy: 'failureRate', minimumCalls: 1e6, clock });
  const late: number[] = [];
  const abort = new AbortController();
  const begin = (context: Partial<ExportContext> = {}) =>
    guarded.exportBatch(batch, {
      signal: abort.signal,
      deadline: clock.now() + ATTEMPT_MILLIS,
      onLateAcknowledgement: (spans) => void late.push(spans),
      ...context,
    });
  const run = (context?: Partial<ExportContext>) => clock.run(begin(context));
  return {
    clock,
    latency,
    leaf,
    guarded,
    late,
    abort,
    cancelled,
    begin,
    run,
    open: () => open,
    maxOpen: () => maxOpen,
  };
}

describe('attempts that run out of time', () => {
  it('fail at their deadline, all of them', async () => {
    const { clock, run } = setUp();
    for (let attempt = 1; attempt <= 4; attempt++) {
      expect(await run()).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
      expect(clock.now()).toBe(1_000 + attempt * ATTEMPT_MILLIS);
    }
  });

  it('are cancelled, but for one at a time after the first', async () => {
    const { cancelled, run, open } = setUp();
    const openAfter: number[] = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      await run();
      openAfter.push(open());
    }
    expect(openAfter).toEqual([0, 1, 1, 1, 1]);
    expect(cancelled).toEqual(Array(4).fill('DEADLINE_EXCEEDED'));
  });

  it('are heard of when the one is acknowledged', async () => {
    const { clock, late, run, cancelled } = setUp({ latencyMillis: 3_000 });
    await run();
    await clock.advance(10_000);
    expect(late).toEqual([]);
    await run();
    await clock.advance(1_000);
    expect([late, cancelled.length]).toEqual([[10], 1]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('are all cancelled where nobody wants to hear of it', async () => {
    const { run, open } = setUp();
    for (let attempt = 0; attempt < 3; attempt++) await run({ onLateAcknowledgement: undefined });
    expect(open()).toBe(0);
  });

  it('are all cancelled when they alternate with others that are answered', async () => {
    const { latency, run, open } = setUp();
    for (let attempt = 0; attempt < 5; attempt++) {
      latency.millis = attempt % 2 === 0 ? Number.POSITIVE_INFINITY : 10;
      await run();
      expect(open()).toBe(0);
    }
  });

  it('wait 30 s at the longest', async () => {
    const { clock, run, open } = setUp();
    await run();
    await run();
    await clock.advance(30_000 - ATTEMPT_MILLIS - 1);
    expect(open()).toBe(1);
    await clock.advance(1);
    expect(open()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a late call that is waited for in vain', () => {
  const SAID =
    /^guarded: no answer within (\d+) ms to a call that was waited for; .* timeoutMillis .* again and again$/;

  /** As an OTLP exporter does, the leaf ends what has taken its own `timeoutMillis`. */
  async function inVain({ timeoutMillis = 10_000, error = timedOut(timeoutMillis) as Error } = {}) {
    const clock = new VirtualClock();
    const latency = { millis: Number.POSITIVE_INFINITY };
    const leaf = new ScriptedBatchExporter({
      clock,
      maxConcurrentExports: 10,
      otherwise: async (all) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, Math.min(latency.millis, timeoutMillis)));
        return latency.millis <= timeoutMillis
          ? deliveredOutcome(all.spanCount)
          : failedOutcome(all, 'retryable', error);
      },
    });
    const logged = collectLogs();
    const guarded = new CircuitBreakerSpanExporter({
      name: 'guarded',
      exporter: leaf,
      minimumCalls: 1e6,
      strategy: 'failureRate',
      clock,
    });
    const run = () =>
      clock.run(
        guarded.exportBatch(batch, {
          signal: new AbortController().signal,
          deadline: clock.now() + ATTEMPT_MILLIS,
          onLateAcknowledgement: () => {},
        }),
      );
    for (let attempt = 0; attempt < 20; attempt++) await run();
    return { clock, latency, guarded, run, logged };
  }

  const timedOut = (millis: number) => new ExportError('DEADLINE_EXCEEDED', `no answer within ${millis} ms`);

  it('is said once, with what to change, until something is answered', async () => {
    const { guarded, logged, latency, run, clock } = await inVain();
    expect(logged.map((line) => SAID.exec(line)?.[1])).toEqual(['10000']);
    expect(guarded.unansweredMillis).toBe(10_000);
    latency.millis = 10;
    await run();
    expect(guarded.unansweredMillis).toBeUndefined();
    latency.millis = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 20; attempt++) await run();
    expect(logged.length).toBe(2);
    await clock.advance(60_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is said of gRPC exporters too, whose error has a number', async () => {
    const { logged } = await inVain({ error: Object.assign(new Error('Deadline exceeded'), { code: 4 }) });
    expect(logged.length).toBe(1);
  });

  it('is not said where the exporter has no more time than an attempt', async () => {
    const { logged, guarded } = await inVain({ timeoutMillis: 1_000 });
    expect([logged.length, guarded.unansweredMillis]).toEqual([0, undefined]);
  });

  it('is not said of a server that has answered, if late, nor of a call that has made way', async () => {
    const { logged } = await inVain({ error: Object.assign(new Error('Unavailable'), { code: 14 }) });
    expect(logged.length).toBe(0);
    const { run, guarded } = setUp();
    for (let attempt = 0; attempt < 2; attempt++) await run();
    await guarded.forceFlush();
    expect([logged.length, guarded.unansweredMillis]).toEqual([0, undefined]);
  });
});

describe('a late call that goes on', () => {
  async function withLateCall(options?: Parameters<typeof setUp>[0]) {
    const world = setUp(options);
    await world.run();
    await world.run();
    return world;
  }

  it('leaves the exporter no more calls than it bears', async () => {
    const { clock, begin, run, maxOpen } = await withLateCall({ maxConcurrentExports: 2 });
    const other = begin();
    expect(await run()).toMatchObject({ failure: 'refused' });
    await clock.run(other);
    expect(maxOpen()).toBe(2);
  });

  it('keeps the only slot of an exporter', async () => {
    const { clock, latency, run } = await withLateCall({ maxConcurrentExports: 1, latencyMillis: 5_000 });
    latency.millis = 10;
    expect(await run()).toMatchObject({ failure: 'refused' });
    await clock.advance(3_000);
    expect(await run()).toEqual(deliveredOutcome(10));
  });

  it('ends when its caller cancels it for another reason than time', async () => {
    const { run, begin, abort, cancelled, open } = setUp();
    await run();
    const patient = begin();
    abort.abort(new ExportError('SHUTDOWN', 'stopping'));
    await patient;
    expect([cancelled.at(-1), open()]).toEqual(['SHUTDOWN', 0]);
  });

  it.each(['forceFlush', 'shutdown'] as const)('holds up no %s, and leaves nothing', async (method) => {
    const { clock, guarded, leaf, open } = await withLateCall();
    const startedAt = clock.now();
    await clock.run(guarded[method]());
    expect([clock.now() - startedAt, open(), clock.pendingTimers]).toEqual([0, 0, 0]);
    if (method === 'shutdown') expect(leaf.shutdowns).toBe(1);
  });

  it('is none when a flush begins before its time is up', async () => {
    const { clock, run, begin, guarded, open } = setUp();
    await run();
    const patient = begin();
    await clock.run(guarded.forceFlush());
    await clock.run(patient);
    expect([open(), clock.pendingTimers]).toEqual([0, 0]);
  });

  it('leaves no listener', async () => {
    const { clock, latency, run, abort, begin } = await withLateCall();
    const listeners = new Set<unknown>();
    const { addEventListener, removeEventListener } = abort.signal;
    abort.signal.addEventListener = (...args: [string, () => void]) => {
      listeners.add(args[1]);
      addEventListener.apply(abort.signal, args);
    };
    abort.signal.removeEventListener = (...args: [string, () => void]) => {
      listeners.delete(args[1]);
      removeEventListener.apply(abort.signal, args);
    };
    await clock.advance(30_000);
    latency.millis = 10;
    const patient = begin();
    expect(listeners.size).toBeGreaterThan(0);
    await clock.run(patient);
    await run();
    expect(listeners.size).toBe(0);
  });
});
