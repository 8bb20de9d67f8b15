import { getEventListeners } from 'node:events';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { ExportAttempt, exportAttempt } from './export-attempt.js';
import { ExportError } from './export-error.js';
import { deliveredOutcome, type ExportOutcome, failedOutcome } from './export-outcome.js';
import type { ReadableSpan } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';
import type { SpanBatchExporter } from './span-batch-exporter.js';

const batch = SpanBatch.fromSpans([{}, {}, {}] as ReadableSpan[]);

const exporter = (exportBatch: SpanBatchExporter['exportBatch']): SpanBatchExporter => ({
  prefers: 'spans',
  maxConcurrentExports: 1,
  exportBatch,
  forceFlush: async () => {},
  shutdown: async () => {},
});

function setUp() {
  const clock = new VirtualClock();
  const abort = new AbortController();
  return { clock, abort, context: { signal: abort.signal, deadline: clock.now() + 10_000 } };
}

describe('exportAttempt', () => {
  it('returns what the exporter says and leaves no timer', async () => {
    const { clock, context } = setUp();
    const outcome = await exportAttempt(
      exporter(async () => deliveredOutcome(3)),
      batch,
      context,
      { clock },
    );
    expect(outcome).toEqual(deliveredOutcome(3));
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends a hung export at its timeout as retryable, aborts it, and hands on what it says later', async () => {
    const { clock, context } = setUp();
    const late: ExportOutcome[] = [];
    let answer: (outcome: ExportOutcome) => void = () => {};
    let seen: AbortSignal | undefined;
    const hung = exporter((_, { signal }) => {
      seen = signal;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const attempt = exportAttempt(hung, batch, context, {
      clock,
      timeoutMillis: 2_000,
      onLateOutcome: (outcome) => late.push(outcome),
    });
    const startedAt = clock.now();
    const outcome = await clock.run(attempt);
    expect(clock.now() - startedAt).toBe(2_000);
    expect(outcome).toMatchObject({ failure: 'retryable', remaining: batch, error: { code: 'DEADLINE_EXCEEDED' } });
    expect(seen?.aborted).toBe(true);
    answer(deliveredOutcome(3));
    await clock.settle();
    expect(late).toEqual([deliveredOutcome(3)]);
  });

  it('tells the caller of spans that were acknowledged late, and of nothing else', async () => {
    const { clock, context } = setUp();
    let acknowledged = 0;
    const onLateAcknowledgement = (spans: number) => {
      acknowledged += spans;
    };
    const answers: Array<(outcome: ExportOutcome) => void> = [];
    const hung = exporter(() => new Promise((resolve) => answers.push(resolve)));
    const attempts = [0, 1, 2].map(() =>
      exportAttempt(hung, batch, { ...context, onLateAcknowledgement }, { clock, timeoutMillis: 10 }),
    );
    answers[0]!(deliveredOutcome(3));
    await clock.run(Promise.all(attempts));
    answers[1]!(deliveredOutcome(3));
    answers[2]!(failedOutcome(batch, 'retryable', new Error('no')));
    await clock.settle();
    expect(acknowledged).toBe(3);
  });

  it('ends with the reason of an abort from above, and never calls an exporter once that has come', async () => {
    const { clock, abort, context } = setUp();
    const attempt = exportAttempt(
      exporter(() => new Promise(() => {})),
      batch,
      context,
      { clock },
    );
    abort.abort(new ExportError('SHUTDOWN', 'stop'));
    expect(await attempt).toMatchObject({ failure: 'shutdown', remaining: batch });
    let called = false;
    const counting = exporter(async () => {
      called = true;
      return deliveredOutcome(3);
    });
    expect(await exportAttempt(counting, batch, context, { clock })).toMatchObject({ failure: 'shutdown' });
    expect(called).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('sync');
      },
    ],
    ['rejects', () => Promise.reject(new Error('async'))],
    ['accounts for too few spans', async () => deliveredOutcome(2)],
    ['returns nothing', async () => undefined as never],
  ])('turns an exporter that %s into a failure', async (_, exportBatch) => {
    const { clock, context } = setUp();
    const outcome = await exportAttempt(exporter(exportBatch), batch, context, { clock });
    expect(outcome).toMatchObject({ failure: 'retryable', remaining: batch, error: expect.any(Error) });
  });
});

describe('ExportAttempt', () => {
  const hung = exporter(() => new Promise(() => {}));

  it('ends as its caller says, once, and tells the child', async () => {
    const { clock, abort, context } = setUp();
    let seen: AbortSignal | undefined;
    const child = exporter((_, { signal }) => {
      seen = signal;
      return new Promise(() => {});
    });
    const attempt = new ExportAttempt(child, batch, context, { clock });
    expect(attempt.isCancelled).toBe(false);
    attempt.cancel(new ExportError('SHUTDOWN', 'stop'));
    attempt.cancel(new ExportError('REFUSED', 'again'));
    expect(await attempt.outcome).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect(attempt.isCancelled).toBe(true);
    expect(seen?.reason).toMatchObject({ code: 'SHUTDOWN' });
    expect(clock.pendingTimers).toBe(0);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  it('was cancelled by an abort from above, and not by time or an outcome', async () => {
    const { clock, abort, context } = setUp();
    const above = new ExportAttempt(hung, batch, context, { clock });
    const late = new ExportAttempt(hung, batch, context, { clock, timeoutMillis: 10 });
    const done = new ExportAttempt(
      exporter(async () => deliveredOutcome(3)),
      batch,
      context,
      { clock },
    );
    await clock.run(Promise.all([late.outcome, done.outcome]));
    abort.abort(new ExportError('SHUTDOWN', 'stop'));
    done.cancel(new Error('too late'));
    late.cancel(new Error('too late'));
    expect([above, late, done].map(({ isCancelled }) => isCancelled)).toEqual([true, false, false]);
    expect(await done.outcome).toEqual(deliveredOutcome(3));
    expect(new ExportAttempt(hung, batch, context, { clock }).isCancelled).toBe(true);
  });

  describe('that passes its signal', () => {
    const inner = (clock: VirtualClock, seen: AbortSignal[], options: object = {}) =>
      exporter(async (passed, context) => {
        seen.push(context.signal);
        const child = exporter((_, { signal }) => {
          seen.push(signal);
          return new Promise(() => {});
        });
        return exportAttempt(child, passed, context, { clock, passesSignal: true, ...options });
      });

    it('hands on that of an attempt that ends no later, and ends with it', async () => {
      const { clock, context } = setUp();
      const seen: AbortSignal[] = [];
      const late: ExportOutcome[] = [];
      const onLateOutcome = (outcome: ExportOutcome) => late.push(outcome);
      const outcome = exportAttempt(inner(clock, seen), batch, context, { clock, timeoutMillis: 50, onLateOutcome });
      expect(seen[0]).toBe(seen[1]);
      expect(clock.pendingTimers).toBe(1);
      expect(await clock.run(outcome)).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
      await clock.settle();
      expect(late).toMatchObject([{ failure: 'retryable', remaining: batch, error: { code: 'DEADLINE_EXCEEDED' } }]);
      expect(seen[1]!.aborted).toBe(true);
      expect(getEventListeners(seen[1]!, 'abort')).toEqual([]);
    });

    it('has one of its own where it may end before, or where nobody says when that ends', async () => {
      const { clock, context } = setUp();
      const seen: AbortSignal[] = [];
      const sooner = exportAttempt(inner(clock, seen, { timeoutMillis: 20 }), batch, context, { clock });
      expect(await clock.run(sooner)).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
      const alone = exportAttempt(hung, batch, context, { clock, passesSignal: true });
      expect(await clock.run(alone)).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
      expect([seen[0]!.aborted, seen[1]!.aborted, context.signal.aborted]).toEqual([false, true, false]);
      expect(clock.pendingTimers).toBe(0);
    });
  });
});
