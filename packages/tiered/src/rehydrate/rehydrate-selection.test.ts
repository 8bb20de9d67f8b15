import { gunzipSync } from 'node:zlib';
import { SpanBatch } from '@otel-resilience/core';
import type { FakeSpanOverrides } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR, NOON } from '../../../../test/support/archive.js';
import { type ArchiveIndex, decodeIndex, encodeIndex } from '../object-store/archive-index.js';
import type { ArchiveSelection } from '../object-store/archive-selection.js';
import { TraceIdFilter } from '../object-store/trace-id-filter.js';
import { idsOf, RehydrateBed, spanIds } from './rehydrate-bed.test-support.js';

type Made = FakeSpanOverrides & { serviceName: string; traceId: string; startMillis: number; durationMillis: number };

// More than 16 services in an hour are `!mixed`; names that are prefixes of others sort otherwise than their keys.
const service = fc.constantFrom('a', 'a-b', 'a.b', '', 'ü/..', ...Array.from({ length: 14 }, (_, at) => `s${at}`));
const span = fc.record({
  serviceName: service,
  traceId: fc.integer({ min: 1, max: 9 }).map((digit) => `${digit}`.repeat(32)),
  startMillis: fc.integer({ min: -2 * HOUR, max: 2 * HOUR }).map((offset) => NOON + offset),
  durationMillis: fc.integer({ min: 0, max: HOUR }),
});
const batch = fc.record({
  spans: fc.array(span, { minLength: 1, maxLength: 30 }),
  /** In which stores it is, and in which class there. */
  places: fc.constantFrom('warm', 'cold', 'glacier', 'warm and cold', 'warm and glacier'),
  /** That many spans of the batch before this one are in it too. */
  again: fc.nat({ max: 10 }),
});
const index = fc.constantFrom(
  'whole',
  'whole',
  'missing',
  'damaged',
  'more services',
  'no services',
  'other hour',
  'trace ids',
);
const selection = fc.record(
  {
    fromMillis: fc.integer({ min: NOON - 3 * HOUR, max: NOON }),
    toMillis: fc.integer({ min: NOON, max: NOON + 3 * HOUR }),
    services: fc.uniqueArray(service, { minLength: 1, maxLength: 3 }),
    traceIds: fc.uniqueArray(
      fc.constantFrom('1', '2', '0').map((digit) => digit.repeat(32)),
      { minLength: 1 },
    ),
  },
  { requiredKeys: [] },
);

describe('a selection', () => {
  it('sends exactly the spans it names, each once, whatever the archive is like', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(batch, { maxLength: 4 }),
        fc.array(index, { minLength: 1, maxLength: 5 }),
        selection,
        async (batches, indexes, select) => {
          const bed = new RehydrateBed();
          const made = new Map<number, Made>();
          let before: Made[] = [];
          for (const { spans, places, again } of batches) {
            const fresh = spans.map((one, at) => ({ ...one, index: 100 + made.size + at }));
            for (const one of fresh) made.set(one.index, one);
            await archive(bed, [...before.slice(0, again), ...fresh], places);
            before = fresh;
          }
          lie(bed, indexes);
          const report = await bed.run({ select });
          const expected = [...made.values()].filter((one) => isSelected(one, select));
          const wantedIds = new Set(idsOf(expected));
          expect(bed.sentIds).toEqual(idsOf(expected));
          expect(report).toMatchObject({ complete: true, spans: { sent: expected.length } });
          expect(report.spans.selected).toBe(archivedIds(bed).filter((id) => wantedIds.has(id)).length);
          if (report.expectedSpans !== undefined) expect(report.expectedSpans).toBe(report.spans.selected);
        },
      ),
      { numRuns: 60 },
    );
  });
});

async function archive(bed: RehydrateBed, spans: readonly Made[], places: string): Promise<void> {
  if (places.includes('warm')) await bed.archive(spans);
  if (places.includes('cold')) await bed.archive(spans, { store: bed.cold });
  if (places.includes('glacier')) await bed.archive(spans, { store: bed.cold, storageClass: 'GLACIER' });
}

/** As often as there are different objects that hold it. */
function archivedIds(bed: RehydrateBed): string[] {
  const objects = new Map([bed.warm, bed.cold].flatMap((store) => bed.keys(store).map((key) => [key, store] as const)));
  return [...objects].flatMap(([key, store]) =>
    spanIds(SpanBatch.fromBytes([gunzipSync(store.objects.get(key)!.bytes)])),
  );
}

function isSelected(one: Made, { fromMillis = 0, toMillis = Number.MAX_VALUE, services, traceIds }: ArchiveSelection) {
  return (
    one.startMillis + one.durationMillis >= fromMillis &&
    one.startMillis <= toMillis &&
    (!services || services.includes(one.serviceName)) &&
    (!traceIds || traceIds.includes(one.traceId))
  );
}

/** What an index may say wrongly, and be found out. In `!mixed` objects the key knows nothing of services. */
function lie(bed: RehydrateBed, indexes: readonly string[]): void {
  for (const store of [bed.warm, bed.cold]) {
    for (const [at, key] of store.keys.filter((one) => one.endsWith('.json')).entries()) {
      const how = indexes[at % indexes.length]!;
      const stored = store.objects.get(key)!;
      const truth = decodeIndex(stored.bytes)!;
      const say = (lies: Partial<ArchiveIndex>) => {
        stored.bytes = Buffer.from(encodeIndex({ ...truth, ...lies }));
      };
      if (how === 'missing') store.objects.delete(key);
      else if (how === 'damaged') stored.bytes[stored.bytes.length >> 1]! ^= 1;
      else if (how === 'more services') say({ services: new Map([...truth.services, ['another', 1]]) });
      else if (how === 'no services' && !key.includes('!mixed')) say({ services: new Map([['another', 1]]) });
      else if (how === 'other hour') say({ startMillis: NOON - 90 * HOUR, endMillis: NOON - 80 * HOUR });
      else if (how === 'trace ids') say({ id: 'f'.repeat(32), traceIds: TraceIdFilter.of(new Set()) });
    }
  }
}
