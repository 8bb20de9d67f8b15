import {
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  followedBy,
  rejectedOutcome,
  type SpanBatch,
  SpanBatchExporterBase,
  sleep,
  storedOutcome,
} from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR, NOON } from '../../../../test/support/archive.js';
import type { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { ObjectStoreError, type ObjectStoreErrorCode } from '../object-store/object-store-error.js';
import { idsOf, type PatientClock, RehydrateBed, spanIds } from './rehydrate-bed.test-support.js';
import type { RehydrateProgress } from './rehydrate-progress.js';

type Answer = 'deliver' | 'reject' | 'store' | 'drop' | 'miscount' | 'throw' | 'hang' | 'late' | Failure;

interface Step {
  readonly answer: Answer;
  /** Of the spans that are delivered all the same. */
  readonly taken: number;
  readonly delayMillis: number;
  readonly retryAfterMillis?: number;
}

/** Notes what it has said of each span, and whether anybody was still waiting to hear it. */
class MoodyExporter extends SpanBatchExporterBase {
  override readonly prefers = 'bytes';
  override readonly maxConcurrentExports = 1;
  readonly delivered: string[] = [];
  /** Which somebody answers for: delivered, stored, rejected or dropped. */
  readonly settled = new Set<string>();
  private readonly steps: readonly Step[];
  private readonly onExport: () => void;
  private next = 0;

  constructor(clock: PatientClock, steps: readonly Step[], onExport: () => void) {
    super({ clock });
    this.steps = steps;
    this.onExport = onExport;
  }

  async exportBatch(batch: SpanBatch, { signal }: ExportContext): Promise<ExportOutcome> {
    const step = this.steps[this.next++ % this.steps.length]!;
    const { answer, taken, delayMillis, retryAfterMillis } = step;
    this.onExport();
    if (answer === 'throw') throw new Error('as told');
    if (answer === 'hang') return new Promise(() => {});
    await sleep(this.clock, answer === 'late' ? 31_000 : delayMillis);
    if (answer === 'miscount') return deliveredOutcome(batch.spanCount + 1);
    const first = answer === 'deliver' ? batch.spanCount : Math.floor(batch.spanCount * taken);
    const ids = spanIds(batch);
    const isAwaited = !signal.aborted;
    if (isAwaited) this.delivered.push(...ids.slice(0, first));
    const done = deliveredOutcome(first);
    const left = batch.spanCount - first;
    const isFailure = !['deliver', 'reject', 'store', 'drop', 'late', 'permanent'].includes(answer);
    if (isAwaited) for (const id of isFailure ? ids.slice(0, first) : ids) this.settled.add(id);
    if (left === 0) return done;
    if (answer === 'reject') return followedBy(done, rejectedOutcome(left, new Error('too old')));
    if (answer === 'store') return followedBy(done, storedOutcome(left));
    if (answer === 'drop') return followedBy(done, droppedOutcome(left, 'queue_full'));
    const failure = answer === 'late' ? 'permanent' : (answer as Failure);
    return followedBy(done, failedOutcome(batch.slice(first), failure, new Error('as told'), retryAfterMillis));
  }
}

const step: fc.Arbitrary<Step> = fc.record(
  {
    answer: fc.constantFrom<Answer[]>(
      ...(['deliver', 'deliver', 'deliver', 'reject', 'store', 'drop', 'miscount', 'throw', 'hang', 'late'] as const),
      ...(['retryable', 'throttled', 'permanent', 'refused', 'shutdown'] as const),
    ),
    taken: fc.constantFrom(0, 0, 0.5, 1),
    delayMillis: fc.constantFrom(0, 0, 7, 29_000, 31_000),
    retryAfterMillis: fc.constantFrom(1, 5_000, 300_000),
  },
  { requiredKeys: ['answer', 'taken', 'delayMillis'] },
);
const codes: ObjectStoreErrorCode[] = ['UNAVAILABLE', 'THROTTLED', 'NOT_FOUND', 'DENIED', 'TOO_LARGE', 'SHUTDOWN'];
/** For each call of the store: none, or what it fails with. */
const faults = fc.array(fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.constantFrom(...codes)), {
  maxLength: 40,
});
const world = fc.record({
  objects: fc.array(
    fc.record({ spans: fc.integer({ min: 1, max: 30 }), isArchived: fc.boolean(), isDamaged: fc.nat(5) }),
    {
      maxLength: 6,
    },
  ),
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  faults,
  spansPerSecond: fc.constantFrom(1, 10, 40, 5_000),
  /** At the how manieth of these it is ended. */
  end: fc.option(
    fc.record({
      at: fc.constantFrom('timer', 'store call', 'export', 'progress'),
      count: fc.integer({ min: 1, max: 20 }),
    }),
    { nil: undefined },
  ),
});

describe('the books of a run', () => {
  it('balance, whatever stores and exporter do and whenever it is ended; and a further run sends what was left', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    await fc.assert(
      fc.asyncProperty(world, async ({ objects, steps, faults: failures, spansPerSecond, end }) => {
        const bed = new RehydrateBed();
        const intact: string[] = [];
        for (const [hour, { spans: count, isArchived, isDamaged }] of objects.entries()) {
          const spans = Array.from({ length: count }, (_, at) => ({
            index: hour * 100 + at,
            startMillis: NOON + hour * HOUR,
          }));
          await bed.archive(spans, isArchived ? { storageClass: 'GLACIER' } : {});
          if (isDamaged === 1) bed.warm.objects.get(bed.keys().at(-1)!)!.bytes.fill(0, 20);
          else intact.push(...idsOf(spans));
        }
        const interruption = new AbortController();
        let abortedAt: number | undefined;
        let left = end?.count;
        const happened = (what: string) => {
          if (what !== end?.at || left === undefined || --left > 0 || abortedAt !== undefined) return;
          abortedAt = bed.clock.now();
          interruption.abort('enough');
        };
        fail(bed.warm, failures, () => happened('store call'));
        bed.clock.onTimer = () => queueMicrotask(() => happened('timer'));
        const exporter = new MoodyExporter(bed.clock, steps, () => happened('export'));
        const fractions: number[] = [];
        const onProgress = (progress: RehydrateProgress) => {
          fractions.push(progress.fraction);
          happened('progress');
        };
        const running = bed.begin({ to: exporter, signal: interruption.signal, spansPerSecond, onProgress });
        const report = await bed.clock.run(running);
        const endedAt = bed.clock.now();

        const { objects: counted, spans } = report;
        expect(counted.done + counted.damaged + counted.archived + counted.failed + counted.left).toBe(counted.found);
        const { sent, stored, rejected, dropped, duplicates, failed, selected } = spans;
        expect(sent + stored + rejected + dropped + duplicates + failed).toBe(selected);
        expect(Math.min(...Object.values(spans), ...Object.values(counted))).toBeGreaterThanOrEqual(0);
        expect(sent).toBe(exporter.delivered.length);
        expect(sent + stored + rejected + dropped).toBe(exporter.settled.size);
        if (abortedAt !== undefined && !report.complete) expect(endedAt).toBe(abortedAt);
        expect(report.interrupted || !report.complete || spans.failed + counted.left === 0).toBe(true);
        if (report.complete) expect(exporter.settled).toEqual(new Set(intact));
        expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
        if (fractions.at(-1) === 1) expect(counted.left).toBe(0);
        if (report.complete) expect(fractions.at(-1)).toBe(1);
        // What an exporter of the test's own goes on with is not ours.
        await bed.clock.advance(100_000);
        expect(bed.clock.pendingTimers).toBe(0);

        bed.warm.before = () => {};
        const { resumeFromMillis } = report;
        const rest =
          resumeFromMillis === undefined ? undefined : await bed.run({ select: { fromMillis: resumeFromMillis } });
        const answered = new Set([...exporter.settled, ...(rest ? bed.sentIds : [])]);
        expect(intact.filter((id) => !answered.has(id))).toEqual([]);
      }),
      { numRuns: 100 },
    );
    process.removeListener('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
  });
});

function fail(
  store: MemoryObjectStore,
  failures: ReadonlyArray<ObjectStoreErrorCode | undefined>,
  onCall: () => void,
): void {
  let call = 0;
  store.before = (operation, key) => {
    onCall();
    const code = failures[call++];
    if (code) throw new ObjectStoreError(code, `${operation} ${key}: as told`);
  };
}
