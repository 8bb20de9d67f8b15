import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { SpanExporterAdapter } from './adapt-span-exporter.js';
import { ExportError } from './export-error.js';
import { accountedFor } from './export-outcome.js';
import type { ExportResult, ReadableSpan } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';

type Answer = { readonly kind: 'success' | 'failure'; readonly afterMillis: number } | { readonly kind: 'never' };

const AT_ONCE: Answer = { kind: 'success', afterMillis: 0 };

interface World {
  readonly spans: number;
  readonly bad: readonly number[];
  /** What the calls that do not throw come to, one after the other; the last one goes on. */
  readonly answers?: readonly Answer[];
  readonly error?: () => Error;
  readonly maxConcurrentExports?: number;
}

const badName = () => new TypeError("Cannot read properties of undefined (reading 'length')");

/** An exporter that throws at batches in which there is a bad span. */
function setUp({ spans: count, bad, answers = [AT_ONCE], error = badName, maxConcurrentExports }: World) {
  const clock = new VirtualClock();
  const spans = Array.from({ length: count }, (_, index) => ({ name: `span ${index}` }) as ReadableSpan);
  const badSpans = new Set(bad.map((index) => spans[index]!));
  const taken: ReadableSpan[] = [];
  const seen = { calls: 0, open: 0, maxOpen: 0 };
  let begun = 0;
  const take = (part: ReadableSpan[], callback: (result: ExportResult) => void) => {
    seen.calls++;
    if (part.some((span) => badSpans.has(span))) throw error();
    const answer = answers[Math.min(begun++, answers.length - 1)]!;
    seen.open++;
    seen.maxOpen = Math.max(seen.maxOpen, seen.open);
    if (answer.kind === 'never') return;
    clock.setTimeout(() => {
      seen.open--;
      if (answer.kind === 'success') taken.push(...part);
      callback(answer.kind === 'success' ? { code: 0 } : { code: 1, error: new Error('down') });
    }, answer.afterMillis);
  };
  const adapter = new SpanExporterAdapter(
    { export: take, shutdown: async () => {} },
    { clock, ...(maxConcurrentExports && { maxConcurrentExports }) },
  );
  const abort = new AbortController();
  const late: number[] = [];
  const batch = SpanBatch.fromSpans(spans);
  const exportBatch = (timeoutMillis = 2_000) =>
    adapter.exportBatch(batch, {
      signal: abort.signal,
      deadline: clock.now() + timeoutMillis,
      onLateAcknowledgement: (acknowledged) => void late.push(acknowledged),
    });
  return { clock, adapter, batch, spans, badSpans, taken, seen, abort, late, exportBatch };
}

const range = (length: number) => Array.from({ length }, (_, index) => index);

describe('an exporter that throws at some spans', () => {
  it.each([0, 1, 499, 998, 999])(
    'rejects the one bad span of a thousand, number %i, and exports the others',
    async (index) => {
      const { clock, exportBatch, taken, seen, adapter } = setUp({ spans: 1_000, bad: [index] });
      expect(await clock.run(exportBatch())).toMatchObject({ delivered: 999, rejected: 1, dropped: {} });
      expect(new Set(taken).size).toBe(999);
      expect(seen.calls).toBeLessThanOrEqual(21);
      expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 0, extraCallbacks: 0 });
      expect(clock.pendingTimers).toBe(0);
    },
  );

  it.each([
    ['scattered', range(10).map((index) => index * 100 + 17)],
    ['in a cluster at the start', range(40)],
    ['in a cluster at the end', range(40).map((index) => 999 - index)],
    ['in a cluster in the middle', range(60).map((index) => 480 + index)],
    ['one of three', range(40).map((index) => index * 3)],
  ])('rejects all bad spans: %s', async (_, bad) => {
    const { clock, exportBatch } = setUp({ spans: 1_000, bad });
    const outcome = await clock.run(exportBatch());
    expect(outcome).toMatchObject({ delivered: 1_000 - bad.length, rejected: bad.length });
    expect(outcome.remaining).toBeUndefined();
  });

  it('leaves what it has not come to within 256 calls as refused, to go on with the next time', async () => {
    const { clock, exportBatch, seen } = setUp({ spans: 1_000, bad: range(500).map((index) => index * 2) });
    const outcome = await clock.run(exportBatch());
    expect(outcome).toMatchObject({ failure: 'refused', error: { code: 'REFUSED' } });
    expect(outcome.delivered).toBeGreaterThan(20);
    expect(outcome.rejected).toBeGreaterThan(20);
    expect(seen.calls).toBe(256);
    expect(accountedFor(outcome)).toBe(1_000);
  });

  it('gives back what failed in the ordinary way with all that was not tried, in order', async () => {
    const failing: Answer = { kind: 'failure', afterMillis: 5 };
    const { clock, exportBatch, batch } = setUp({ spans: 8, bad: [3], answers: [AT_ONCE, failing] });
    const outcome = await clock.run(exportBatch());
    // 4–7 went through, 0–1 failed, 2–3 were not tried.
    expect(outcome).toMatchObject({ delivered: 4, rejected: 0, failure: 'retryable', error: { message: 'down' } });
    expect(outcome.remaining?.spans()).toEqual(batch.slice(0, 4).spans());
  });

  it('keeps its slot until a part that hangs has been answered, and counts what comes late', async () => {
    const { clock, exportBatch, adapter, late } = setUp({
      spans: 8,
      bad: [0],
      answers: [{ kind: 'success', afterMillis: 3_000 }],
    });
    expect(await clock.run(exportBatch())).toMatchObject({
      failure: 'retryable',
      error: { code: 'DEADLINE_EXCEEDED' },
    });
    expect(adapter.stats().openExports).toBe(1);
    expect(await exportBatch()).toMatchObject({ failure: 'refused' });
    await clock.advance(1_000);
    expect(late).toEqual([4]);
    expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 4, extraCallbacks: 0 });
  });

  it('is given nothing else between two parts', async () => {
    const { clock, exportBatch, seen } = setUp({
      spans: 100,
      bad: [50],
      answers: [{ kind: 'success', afterMillis: 10 }],
    });
    const first = exportBatch();
    for (let i = 0; i < 5; i++) {
      await clock.advance(10);
      expect(await exportBatch()).toMatchObject({ failure: 'refused' });
    }
    expect(await clock.run(first)).toMatchObject({ delivered: 99, rejected: 1 });
    expect(seen.maxOpen).toBe(1);
  });

  it('is called no more once it is being shut down', async () => {
    const { clock, exportBatch, adapter, seen } = setUp({
      spans: 100,
      bad: [0],
      answers: [{ kind: 'success', afterMillis: 10 }],
    });
    const outcome = exportBatch();
    await clock.settle();
    await adapter.shutdown();
    const { calls } = seen;
    expect(await clock.run(outcome)).toMatchObject({ delivered: 50, rejected: 0, failure: 'shutdown' });
    expect(seen.calls).toBe(calls);
  });
});

describe('an exporter that throws at everything', () => {
  it('costs 32 calls, and fails whole with what it threw first', async () => {
    let calls = 0;
    const error = () => new TypeError(`call ${++calls}`);
    const { exportBatch, seen, batch, adapter } = setUp({ spans: 1_000, bad: range(1_000), error });
    const outcome = await exportBatch();
    expect(outcome).toMatchObject({ delivered: 0, rejected: 0, failure: 'retryable', error: { message: 'call 1' } });
    expect(outcome.remaining).toBe(batch);
    expect(seen.calls).toBe(32);
    expect(adapter.stats().openExports).toBe(0);
  });

  it.each([1, 2, 16])('never takes %i spans of which each alone makes it stumble', async (spans) => {
    const { exportBatch, batch, seen } = setUp({ spans, bad: range(spans) });
    expect(await exportBatch()).toMatchObject({ failure: 'permanent', remaining: batch, error: badName() });
    expect(seen.calls).toBe(2 * spans - 1);
  });

  it('may take them later when it said why in words of its own', async () => {
    const { exportBatch, batch } = setUp({ spans: 3, bad: range(3), error: () => new Error('not connected yet') });
    expect(await exportBatch()).toMatchObject({ failure: 'retryable', remaining: batch });
  });

  it('is called once when what it throws is an answer', async () => {
    const error = () => Object.assign(new Error('Too Many Requests'), { code: 429 });
    const { exportBatch, batch, seen } = setUp({ spans: 10, bad: [3], error });
    expect(await exportBatch()).toMatchObject({ failure: 'throttled', remaining: batch });
    expect(seen.calls).toBe(1);
  });
});

describe('the log', () => {
  afterEach(() => diag.disable());

  it('has one line for many batches, which names the error and no span', async () => {
    const lines: string[] = [];
    const warn = (line: string) => void lines.push(line);
    const none = () => {};
    diag.setLogger(
      { warn, error: none, info: none, debug: none, verbose: none } satisfies DiagLogger,
      DiagLogLevel.WARN,
    );
    const { clock, exportBatch } = setUp({ spans: 100, bad: [7, 8] });
    for (let i = 0; i < 3; i++) await clock.run(exportBatch());
    expect(lines).toEqual([
      "adaptSpanExporter: 2 spans make the exporter throw, each on its own: TypeError: Cannot read properties of undefined (reading 'length')",
    ]);
  });
});

describe('whatever an exporter does, and whoever aborts', () => {
  const answer: fc.Arbitrary<Answer> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('success' as const), afterMillis: fc.nat(300) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('success' as const), afterMillis: fc.nat(5_000) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('failure' as const), afterMillis: fc.nat(300) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'never' as const }) },
  );
  const world = fc.integer({ min: 0, max: 120 }).chain((spans) =>
    fc.record({
      spans: fc.constant(spans),
      bad: fc.oneof(fc.subarray(range(spans), { maxLength: Math.min(3, spans) }), fc.subarray(range(spans))),
      answers: fc.array(answer, { minLength: 1, maxLength: 12 }),
      maxConcurrentExports: fc.constantFrom(1, 3),
      error: fc.constantFrom(badName, () => new Error('own words')),
    }),
  );
  const instant = fc.option(fc.nat(2_500), { nil: undefined });

  it('every span has exactly one fate', async () => {
    await fc.assert(
      fc.asyncProperty(world, instant, instant, async (given, abortAfterMillis, shutdownAfterMillis) => {
        const { clock, exportBatch, spans, badSpans, taken, seen, abort, late, adapter } = setUp(given);
        const abortNow = () => abort.abort(new ExportError('DEADLINE_EXCEEDED', 'given up'));
        if (abortAfterMillis !== undefined) clock.setTimeout(abortNow, abortAfterMillis);
        if (shutdownAfterMillis !== undefined) clock.setTimeout(() => void adapter.shutdown(), shutdownAfterMillis);
        const outcome = await clock.run(exportBatch());
        const { delivered, rejected, remaining } = outcome;

        expect(accountedFor(outcome)).toBe(spans.length);
        const left = new Set(remaining?.spans());
        expect(left.size).toBe(remaining?.spanCount ?? 0);
        const settled = spans.filter((span) => !left.has(span));
        expect(settled.filter((span) => badSpans.has(span))).toHaveLength(rejected);
        expect(settled.filter((span) => !badSpans.has(span))).toHaveLength(delivered);
        expect(new Set(taken)).toEqual(new Set(settled.filter((span) => !badSpans.has(span))));
        expect(seen.calls).toBeLessThanOrEqual(taken.length > 0 ? 256 : 64);
        expect(seen.maxOpen).toBeLessThanOrEqual(1);

        await clock.advance(20_000);
        expect(new Set(taken).size).toBe(taken.length);
        expect(late.reduce((sum, count) => sum + count, 0)).toBe(taken.length - delivered);
        expect(adapter.stats().openExports).toBe(seen.open);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
