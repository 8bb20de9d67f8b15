import {
  adaptSpanExporter,
  ConfigurationError,
  deliveredOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  followedBy,
  type ReadableSpan,
  SpanBatch,
  type SpanBatchExporter,
  SpanBatchExporterBase,
  storedOutcome,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import type { RetryingSpanExporterOptions } from './options.js';
import { RetryBudget } from './retry-budget.js';
import { RetryingSpanExporter } from './retrying-span-exporter.js';

const SPANS = Array.from({ length: 10 }, (_, index) => ({ name: `span ${index}` }) as ReadableSpan);
const BATCH = SpanBatch.fromSpans(SPANS);

type Step = (batch: SpanBatch, context: ExportContext) => ExportOutcome | Promise<ExportOutcome>;
const ok: Step = ({ spanCount }) => deliveredOutcome(spanCount);
const fail =
  (failure: Failure, retryAfterMillis?: number): Step =>
  (batch) =>
    failedOutcome(batch, failure, new Error(failure), retryAfterMillis);
const hang: Step = () => new Promise(() => {});

/** Answers by its script, step after step; the last step answers every further call. */
class ScriptedChild extends SpanBatchExporterBase {
  readonly calls: Array<{ at: number; batch: SpanBatch; context: ExportContext }> = [];
  private readonly script: Step[];

  constructor(clock: VirtualClock, script: Step[]) {
    super({ clock });
    this.script = script;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const step = this.script[Math.min(this.calls.length, this.script.length - 1)]!;
    this.calls.push({ at: this.clock.now(), batch, context });
    return step(batch, context);
  }

  /** Milliseconds between the calls. */
  get gaps(): number[] {
    return this.calls.slice(1).map(({ at }, index) => at - this.calls[index]!.at);
  }
}

function setUp(script: Step[], options: Partial<RetryingSpanExporterOptions> = {}) {
  const clock = new VirtualClock();
  const child = new ScriptedChild(clock, script);
  const retrying = new RetryingSpanExporter({ exporter: child, clock, random: () => 0.5, ...options });
  const abort = new AbortController();
  const context: ExportContext = { signal: abort.signal, deadline: clock.now() + 30_000 };
  return { clock, child, retrying, abort, context };
}

describe('RetryingSpanExporter', () => {
  it('passes on what is delivered at once', async () => {
    const { clock, child, retrying, context } = setUp([ok]);
    expect(await retrying.exportBatch(BATCH, context)).toEqual(deliveredOutcome(10));
    expect(child.calls).toHaveLength(1);
    expect(retrying.stats()).toMatchObject({ attempts: 1, retries: 0, open: 0, waiting: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('backs off exponentially while the failure is retryable', async () => {
    const { clock, child, retrying, context } = setUp([fail('retryable'), fail('retryable'), fail('retryable'), ok]);
    expect(await clock.run(retrying.exportBatch(BATCH, context))).toEqual(deliveredOutcome(10));
    expect(child.gaps).toEqual([100, 200, 400]);
    expect(retrying.stats()).toMatchObject({ attempts: 4, retries: 3, retriedSpans: 30, exhausted: 0 });
  });

  it('gives the failure back, with its error, when the retries are used up', async () => {
    const { clock, child, retrying, context } = setUp([fail('retryable')], { maxRetries: 2 });
    const outcome = await clock.run(retrying.exportBatch(BATCH, context));
    expect(outcome).toMatchObject({ remaining: BATCH, failure: 'retryable', error: new Error('retryable') });
    expect(child.calls).toHaveLength(3);
    expect(retrying.stats()).toMatchObject({ exhausted: 1, retries: 2 });
  });

  it('makes a single attempt with maxRetries 0', async () => {
    const { child, retrying, context } = setUp([fail('retryable')], { maxRetries: 0 });
    expect(await retrying.exportBatch(BATCH, context)).toMatchObject({ failure: 'retryable' });
    expect(child.calls).toHaveLength(1);
  });

  it.each(['permanent', 'shutdown'] as const)('never retries a failure that is %s', async (failure) => {
    const { child, retrying, context } = setUp([fail(failure), ok]);
    expect(await retrying.exportBatch(BATCH, context)).toMatchObject({ failure, remaining: BATCH });
    expect(child.calls).toHaveLength(1);
    expect(retrying.stats()).toMatchObject({ exhausted: 0 });
  });

  it('backs off from a refusal, whatever time it names: no server has spoken', async () => {
    const { clock, child, retrying, context } = setUp([fail('refused', 20_000), ok]);
    expect(await clock.run(retrying.exportBatch(BATCH, context))).toEqual(deliveredOutcome(10));
    expect(child.gaps).toEqual([100]);
  });

  it('tries again only what remains, and adds up what became of the rest', async () => {
    const partly: Step = (batch) =>
      followedBy(
        followedBy(failedOutcome(batch, 'retryable', new Error()), deliveredOutcome(5, 1)),
        failedOutcome(batch.slice(5), 'retryable', new Error('half')),
      );
    const { clock, child, retrying, context } = setUp([partly, ({ spanCount }) => storedOutcome(spanCount)]);
    const outcome = await clock.run(retrying.exportBatch(BATCH, context));
    expect(outcome).toEqual({ delivered: 4, rejected: 1, stored: 5, dropped: {} });
    expect(child.calls[1]!.batch.spans()).toEqual(SPANS.slice(5));
    expect(retrying.stats()).toMatchObject({ retriedSpans: 5 });
  });

  it('makes one attempt as a last resort, and tells the exporter so', async () => {
    const { child, retrying, context } = setUp([fail('refused'), ok]);
    expect(await retrying.exportBatch(BATCH, { ...context, lastResort: true })).toMatchObject({ failure: 'refused' });
    expect(child.calls).toHaveLength(1);
    expect(child.calls[0]!.context.lastResort).toBe(true);
  });

  it('counts a hung attempt as retryable when it has an attempt timeout, and knows late acknowledgements', async () => {
    let answer: (outcome: ExportOutcome) => void = () => {};
    const late: Step = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const { clock, child, retrying, context } = setUp([late, ok], { attemptTimeoutMillis: 2_000 });
    expect(await clock.run(retrying.exportBatch(BATCH, context))).toEqual(deliveredOutcome(10));
    expect(child.gaps).toEqual([2_100]);
    answer(deliveredOutcome(10));
    await clock.settle();
    expect(retrying.stats()).toMatchObject({ lateAcknowledged: 10 });
  });
});

describe('RetryingSpanExporter, throttled', () => {
  it('waits at least what the server asked for, and spreads clients beyond it', async () => {
    const { clock, child, retrying, context } = setUp([fail('throttled', 2_000), ok]);
    expect(await clock.run(retrying.exportBatch(BATCH, context))).toEqual(deliveredOutcome(10));
    expect(child.gaps).toEqual([2_000 * 1.05]);
    expect(retrying.stats()).toMatchObject({ throttled: 1, retries: 1 });
  });

  it('waits exactly the hint with randomizationFactor 0', async () => {
    const { clock, child, retrying, context } = setUp([fail('throttled', 2_000), ok], { randomizationFactor: 0 });
    await clock.run(retrying.exportBatch(BATCH, context));
    expect(child.gaps).toEqual([2_000]);
  });

  it('never hurries for a hint that is shorter than the back-off or its base', async () => {
    for (const strategy of ['exponential', 'fullJitter'] as const) {
      const { clock, child, retrying, context } = setUp([fail('throttled', 1)], { strategy, random: () => 0 });
      await clock.run(retrying.exportBatch(BATCH, context));
      expect(child.gaps).toHaveLength(3);
      for (const gap of child.gaps) expect(gap).toBeGreaterThanOrEqual(100);
    }
  });

  it.each([
    ['NaN', Number.NaN],
    ['negative', -1_000],
    ['infinite', Number.NEGATIVE_INFINITY],
  ])('bears a hint of an exporter of the user that is %s', async (_, hint) => {
    const { clock, child, retrying, context } = setUp([fail('throttled', hint), ok]);
    expect(await clock.run(retrying.exportBatch(BATCH, context))).toEqual(deliveredOutcome(10));
    expect(child.gaps).toEqual([100]);
  });

  it('backs off without a hint', async () => {
    const { clock, child, retrying, context } = setUp([fail('throttled'), ok]);
    await clock.run(retrying.exportBatch(BATCH, context));
    expect(child.gaps).toEqual([100]);
  });

  it('gives the throttle back at once, with its hint, when that is past the deadline', async () => {
    const { clock, child, retrying, context } = setUp([fail('throttled', 60_000), ok]);
    const outcome = await retrying.exportBatch(BATCH, context);
    expect(outcome).toMatchObject({ failure: 'throttled', retryAfterMillis: 60_000, remaining: BATCH });
    expect(child.calls).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
    expect(retrying.stats()).toMatchObject({ pastDeadline: 1 });
  });

  it('bears a storm of 429s: a bounded number of attempts for each batch, one wait for each', async () => {
    const { clock, child, retrying, context } = setUp([fail('throttled', 1_000)], { budget: false });
    const exports = Array.from({ length: 50 }, () =>
      retrying.exportBatch(BATCH, { ...context, signal: new AbortController().signal }),
    );
    await clock.settle();
    expect(clock.pendingTimers).toBe(50);
    await clock.run(Promise.all(exports));
    expect(child.calls).toHaveLength(200);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('RetryingSpanExporter and its deadline', () => {
  it('does not wait when the next attempt could not begin before the deadline', async () => {
    const { clock, child, retrying, context } = setUp([fail('retryable')]);
    const startedAt = clock.now();
    const outcome = await clock.run(retrying.exportBatch(BATCH, { ...context, deadline: startedAt + 300 }));
    expect(outcome).toMatchObject({ failure: 'retryable' });
    expect(child.calls.map(({ at }) => at - startedAt)).toEqual([0, 100]);
    expect(clock.now() - startedAt).toBe(100);
    expect(retrying.stats()).toMatchObject({ pastDeadline: 1, exhausted: 0 });
  });

  it('ends a hung attempt at the deadline', async () => {
    const { clock, retrying, context } = setUp([hang]);
    const outcome = await clock.run(retrying.exportBatch(BATCH, context));
    expect(outcome).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(clock.now()).toBe(context.deadline);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends its wait when nobody waits for the outcome any more, and leaves no listener', async () => {
    const { clock, child, retrying, abort, context } = setUp([fail('throttled', 5_000), ok]);
    const add = vi.spyOn(abort.signal, 'addEventListener');
    const remove = vi.spyOn(abort.signal, 'removeEventListener');
    const exporting = retrying.exportBatch(BATCH, context);
    await clock.advance(1_000);
    expect(retrying.stats().waiting).toBe(1);
    abort.abort(new ExportError('DEADLINE_EXCEEDED', 'too late'));
    expect(await exporting).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(child.calls).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
    expect(remove).toHaveBeenCalledTimes(add.mock.calls.length);
  });
});

describe('RetryingSpanExporter and its budget', () => {
  it('stops retrying when the budget is empty, for all exporters that share it', async () => {
    const budget = new RetryBudget({ capacity: 28, refillPerSecond: 0, clock: new VirtualClock() });
    const one = setUp([fail('retryable')], { budget });
    const other = setUp([fail('retryable')], { budget });
    await one.clock.run(one.retrying.exportBatch(BATCH, one.context));
    expect(one.child.calls).toHaveLength(3);
    expect(await other.retrying.exportBatch(BATCH, other.context)).toMatchObject({ failure: 'retryable' });
    expect(other.child.calls).toHaveLength(1);
    expect(other.retrying.stats()).toMatchObject({ overBudget: 1, exhausted: 0 });
  });

  it('gets back what a successful retry has cost, and a token for every batch that needs none', async () => {
    const budget = new RetryBudget({ capacity: 100, refillPerSecond: 0, clock: new VirtualClock() });
    const { clock, retrying, context } = setUp([fail('retryable'), fail('retryable'), ok], { budget });
    await clock.run(retrying.exportBatch(BATCH, context));
    expect(budget.tokens).toBe(86);
    await retrying.exportBatch(BATCH, context);
    expect(budget.tokens).toBe(87);
  });

  it('pays nothing for a retry that was cut off before it was made', async () => {
    const budget = new RetryBudget({ capacity: 100, refillPerSecond: 0, clock: new VirtualClock() });
    const { clock, retrying, context } = setUp([fail('retryable')], { budget });
    const exporting = retrying.exportBatch(BATCH, context);
    await clock.settle();
    expect(budget.tokens).toBe(86);
    await retrying.shutdown();
    await exporting;
    expect(budget.tokens).toBe(100);
  });

  it('pays nothing for calls that asked nobody', async () => {
    const budget = new RetryBudget({ capacity: 100, refillPerSecond: 0, clock: new VirtualClock() });
    const { clock, retrying, context } = setUp([fail('retryable'), fail('refused')], { budget });
    await clock.run(retrying.exportBatch(BATCH, context));
    expect(retrying.stats()).toMatchObject({ retries: 3 });
    expect(budget.tokens).toBe(100);
  });

  it('has one of its own by default, on its own clock', async () => {
    const options = { maxRetries: 100, initialDelayMillis: 1_000, strategy: 'fixed' } as const;
    const { clock, child, retrying, context } = setUp([fail('retryable')], options);
    await clock.run(retrying.exportBatch(BATCH, { ...context, deadline: Number.POSITIVE_INFINITY }));
    expect(child.calls).toHaveLength(39); // 38 retries: 500 tokens, 14 each, one more every second
    expect(retrying.stats()).toMatchObject({ overBudget: 1 });
  });
});

describe('RetryingSpanExporter, flushing and shutting down', () => {
  it('flushes once retries in progress have ended', async () => {
    const { clock, retrying, context } = setUp([fail('throttled', 2_000), ok]);
    const order: string[] = [];
    retrying.exportBatch(BATCH, context).then(() => order.push('exported'));
    await clock.settle();
    const flushing = retrying.forceFlush().then(() => order.push('flushed'));
    await clock.run(flushing);
    expect(order).toEqual(['exported', 'flushed']);
  });

  it('rejects a flush at its deadline when a retry takes longer', async () => {
    const { clock, retrying, context } = setUp([fail('throttled', 5_000), ok]);
    const exporting = retrying.exportBatch(BATCH, context);
    await clock.settle();
    const deadline = clock.now() + 1_000;
    await expect(clock.run(retrying.forceFlush({ deadline }))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(clock.now()).toBe(deadline);
    await clock.run(exporting);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends every wait at once when it is shut down, and exports no more', async () => {
    const { clock, child, retrying, context } = setUp([fail('throttled', 5_000), fail('retryable'), ok]);
    const exports = Promise.all([retrying.exportBatch(BATCH, context), retrying.exportBatch(BATCH, context)]);
    await clock.settle();
    const startedAt = clock.now();
    const shutdown = retrying.shutdown();
    for (const outcome of await exports) {
      expect(outcome).toMatchObject({ failure: 'shutdown', remaining: BATCH, error: { code: 'SHUTDOWN' } });
    }
    await shutdown;
    expect(clock.now()).toBe(startedAt);
    expect(clock.pendingTimers).toBe(0);
    expect(child.calls).toHaveLength(2);
    expect(await retrying.exportBatch(BATCH, context)).toMatchObject({ failure: 'shutdown' });
    expect(child.calls).toHaveLength(2);
    expect(retrying.shutdown()).toBe(retrying.shutdown());
  });

  it('lets an attempt that is open at a shutdown finish, without a retry', async () => {
    for (const [last, expected] of [
      [ok, { delivered: 10 }],
      [fail('retryable'), { failure: 'shutdown', remaining: BATCH }],
      [fail('permanent'), { failure: 'permanent', remaining: BATCH }],
    ] as const) {
      const slow: Step = (batch, context) =>
        new Promise((resolve) => clock.setTimeout(() => resolve(last(batch, context)), 3_000));
      const { clock, child, retrying, context } = setUp([fail('refused'), slow]);
      const exporting = retrying.exportBatch(BATCH, context);
      await clock.advance(1_000);
      expect(retrying.stats()).toMatchObject({ open: 1, waiting: 0 });
      const shutdown = retrying.shutdown();
      expect(await clock.run(exporting)).toMatchObject(expected);
      await clock.run(shutdown);
      expect(child.calls).toHaveLength(2);
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it('cuts off an attempt that outlasts the shutdown, and leaves no timer', async () => {
    const { clock, child, retrying, context } = setUp([hang]);
    const exporting = retrying.exportBatch(BATCH, context);
    const deadline = clock.now() + 500;
    await clock.run(retrying.shutdown({ deadline }));
    expect(clock.now()).toBe(deadline);
    expect(await exporting).toMatchObject({ failure: 'shutdown', remaining: BATCH });
    expect(child.calls[0]!.context.signal.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('RetryingSpanExporter as a component', () => {
  it('takes the form and the concurrency of what it wraps', () => {
    const stock = { export: () => {}, shutdown: async () => {} };
    expect(new RetryingSpanExporter({ exporter: stock })).toMatchObject({ prefers: 'spans', maxConcurrentExports: 1 });
    const adapted = adaptSpanExporter(stock, { maxConcurrentExports: 30 });
    expect(new RetryingSpanExporter({ exporter: adapted })).toMatchObject({ maxConcurrentExports: 30 });
    const { retrying } = setUp([ok]);
    expect(retrying).toMatchObject({ prefers: 'bytes', maxConcurrentExports: Number.POSITIVE_INFINITY });
  });

  it('is a stock SpanExporter around a stock SpanExporter, and starts nothing when it is constructed', async () => {
    const clock = new VirtualClock();
    const errors = [
      new Error('Request timed out'),
      Object.assign(new Error('no'), { code: 'ECONNREFUSED' }),
      undefined,
    ];
    const stock = {
      export: (_: ReadableSpan[], done: (result: { code: number; error?: Error }) => void) => {
        const error = errors.shift();
        done(error ? { code: 1, error } : { code: 0 });
      },
      shutdown: async () => {},
    };
    const retrying = new RetryingSpanExporter({ exporter: stock, clock });
    expect(clock.pendingTimers).toBe(0);
    const result = await clock.run(new Promise((resolve) => retrying.export([...SPANS], resolve)));
    expect(result).toEqual({ code: 0 });
    expect(retrying.stats()).toMatchObject({ attempts: 3 });
  });

  it('takes an exporter that throws for one that failed', async () => {
    const { clock, retrying, context } = setUp([
      () => {
        throw new TypeError('bug');
      },
      ok,
    ]);
    expect(await clock.run(retrying.exportBatch(BATCH, context))).toEqual(deliveredOutcome(10));
  });

  const exporter: SpanBatchExporter = new ScriptedChild(new VirtualClock(), [ok]);
  it.each([
    [{}, 'RetryingSpanExporter.exporter'],
    [{ exporter: {} }, 'RetryingSpanExporter.exporter'],
    [{ exporter, maxRetries: -1 }, 'RetryingSpanExporter.maxRetries'],
    [{ exporter, maxRetries: 1.5 }, 'RetryingSpanExporter.maxRetries'],
    [{ exporter, initialDelayMillis: Number.NaN }, 'RetryingSpanExporter.initialDelayMillis'],
    [{ exporter, initialDelayMillis: 0 }, 'RetryingSpanExporter.initialDelayMillis'],
    [{ exporter, initialDelayMillis: 200, maxDelayMillis: 100 }, 'RetryingSpanExporter.initialDelayMillis'],
    [{ exporter, multiplier: 0.5 }, 'RetryingSpanExporter.multiplier'],
    [{ exporter, randomizationFactor: 2 }, 'RetryingSpanExporter.randomizationFactor'],
    [{ exporter, strategy: 'linear' }, 'RetryingSpanExporter.strategy'],
    [{ exporter, attemptTimeoutMillis: 0 }, 'RetryingSpanExporter.attemptTimeoutMillis'],
    [{ exporter, random: 4 }, 'RetryingSpanExporter.random'],
    [{ exporter, budget: true }, 'RetryingSpanExporter.budget'],
    [{ exporter, budget: { capacity: 1 } }, 'RetryingSpanExporter.budget.retryCost'],
    [{ exporter, maxRetry: 3 }, 'RetryingSpanExporter.maxRetry'],
  ])('rejects %j, naming %s', (options, path) => {
    const construct = () => new RetryingSpanExporter(options as never);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(expect.objectContaining({ path }));
  });

  it('keeps its options when the object they came in changes', async () => {
    const options = { maxRetries: 1, budget: { capacity: 28 } };
    const { clock, child, retrying, context } = setUp([fail('retryable')], options);
    options.maxRetries = 50;
    options.budget.capacity = 1_000;
    await clock.run(retrying.exportBatch(BATCH, context));
    expect(child.calls).toHaveLength(2);
  });
});
