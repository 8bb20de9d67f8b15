import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR, many, NOON } from '../../../../test/support/archive.js';
import { RehydrateBed } from './rehydrate-bed.test-support.js';
import type { RehydrateProgress } from './rehydrate-progress.js';

type Seen = RehydrateProgress & { readonly at: number };

/** So many objects of so many spans, one an hour. */
async function archived(objects: number, spans: number): Promise<RehydrateBed> {
  const bed = new RehydrateBed();
  for (let hour = 0; hour < objects; hour++) await bed.archive(many(spans, { startMillis: NOON + hour * HOUR }));
  return bed;
}

async function watched(bed: RehydrateBed, options: object = {}): Promise<Seen[]> {
  const seen: Seen[] = [];
  await bed.run({ onProgress: (progress) => seen.push({ ...progress, at: bed.clock.now() }), ...options });
  return seen;
}

describe('the rate', () => {
  it('is never more than that over any time, and one part', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(0.5, 8, 50, 1_000),
        fc.array(fc.constantFrom('delivered', 'delivered', 'retryable', 'refused'), { maxLength: 12 }),
        async (objects, spansPerSecond, script) => {
          const bed = new RehydrateBed();
          for (const [at, spans] of objects.entries())
            await bed.archive(many(spans, { startMillis: NOON + at * HOUR }));
          bed.to.script(script as never[]);
          await bed.run({ spansPerSecond });
          const sends = bed.to.exports.map(({ at, batch }) => ({ at, spans: batch.spanCount }));
          const part = Math.max(1, Math.floor(spansPerSecond / 4));
          expect(Math.max(...sends.map(({ spans }) => spans))).toBeLessThanOrEqual(part);
          for (const [from, first] of sends.entries()) {
            let spans = 0;
            for (const send of sends.slice(from)) {
              spans += send.spans;
              const seconds = (send.at - first.at) / 1_000;
              expect(spans).toBeLessThanOrEqual(seconds * spansPerSecond + part + 1e-6);
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is kept to, and not much less', async () => {
    const bed = await archived(4, 500);
    const startedAt = bed.clock.now();
    await bed.run({ spansPerSecond: 100 });
    expect(bed.clock.now() - startedAt).toBeLessThanOrEqual(20_000);
    expect(bed.clock.now() - startedAt).toBeGreaterThan(19_000);
  });

  it('makes requests that any receiver takes', async () => {
    const bed = new RehydrateBed();
    const attributes = { long: 'x'.repeat(50_000) };
    await bed.archive(many(100, { attributes }));
    await bed.archive(many(3_000, { startMillis: NOON + HOUR }));
    await bed.run({ spansPerSecond: 1_000_000 });
    for (const { batch } of bed.to.exports) {
      expect(batch.spanCount).toBeLessThanOrEqual(1_000);
      expect(batch.byteLength).toBeLessThanOrEqual(1024 * 1024);
    }
  });
});

describe('progress', () => {
  it('goes from nothing to all, and says how long it will take', async () => {
    const bed = await archived(6, 500);
    const seen = await watched(bed, { spansPerSecond: 100 });
    expect(seen[0]).toMatchObject({ phase: 'finding', fraction: 0, objects: { found: 1 } });
    expect(seen[0]!.etaMillis).toBeUndefined();
    const sending = seen.filter(({ phase }) => phase === 'sending');
    expect(sending.length).toBeGreaterThan(20);
    expect(sending[0]).toMatchObject({ fraction: 0, spans: { expected: 3_000, sent: 0 }, etaMillis: 30_000 });
    const endedAt = bed.clock.now();
    for (const { at, etaMillis } of sending) expect(Math.abs(endedAt - at - etaMillis!)).toBeLessThan(1_500);
    for (const [at, { fraction, spans }] of sending.entries()) {
      const before = sending[at - 1];
      expect(fraction).toBeGreaterThanOrEqual(before?.fraction ?? 0);
      expect(Math.abs(fraction - spans.sent / 3_000)).toBeLessThan(0.001);
    }
    expect(seen.at(-1)).toMatchObject({ fraction: 1, etaMillis: 0, objects: { found: 6, done: 6, restoring: 0 } });
  });

  it('comes at most every 250 ms, but for beginnings and the end', async () => {
    const bed = await archived(3, 500);
    const seen = await watched(bed, { spansPerSecond: 500 });
    const times = seen.slice(2, -1).map(({ at }) => at);
    for (const [at, time] of times.entries()) if (at > 0) expect(time - times[at - 1]!).toBeGreaterThanOrEqual(250);
  });

  it('learns how long a slow exporter takes, and how little of an archive is wanted', async () => {
    const slow = await archived(10, 100);
    slow.to.respond({ kind: 'delivered', delayMillis: 2_000 });
    const ofSlow = (await watched(slow)).filter(({ fraction }) => fraction >= 0.3);
    const endedAt = slow.clock.now();
    for (const { at, etaMillis } of ofSlow) expect(Math.abs(endedAt - at - etaMillis!)).toBeLessThan(2_500);

    const few = new RehydrateBed();
    for (let hour = 0; hour < 20; hour++) {
      const wanted = many(10, { traceId: 'a'.repeat(32), startMillis: NOON + hour * HOUR }).spans();
      const others = many(990, { startMillis: NOON + hour * HOUR }).spans();
      await few.archive(
        [...wanted, ...others].map((span, index) => ({ ...span, index, traceId: span.spanContext().traceId })) as never,
      );
    }
    const ofFew = await watched(few, { select: { traceIds: ['a'.repeat(32)] }, spansPerSecond: 10 });
    const end = few.clock.now();
    for (const { at, etaMillis, fraction } of ofFew) {
      if (fraction >= 0.1) expect(Math.abs(end - at - etaMillis!)).toBeLessThan(3_000);
    }
    expect(ofFew.at(-1)!.fraction).toBe(1);
  });

  it('is not stopped by a callback that throws, or rejects', async () => {
    const bed = await archived(1, 10);
    const throwing = () => {
      throw new Error('mine');
    };
    expect(await bed.run({ onProgress: throwing })).toMatchObject({ complete: true });
    expect(await bed.run({ onProgress: async () => throwing() })).toMatchObject({ complete: true });
  });
});

describe('a signal', () => {
  const HANGING = ['list', 'get', 'head', 'requestRestore'] as const;
  for (const operation of HANGING) {
    it(`ends a run at once, also while ${operation} of a store hangs and heeds no signal`, async () => {
      const bed = new RehydrateBed();
      await bed.archive(many(5), operation === 'get' ? {} : { storageClass: 'GLACIER' });
      bed.warm.before = (called, key) => {
        const isIt = called === operation && (operation !== 'get' || key.endsWith('.gz'));
        return isIt ? new Promise<void>(() => {}) : undefined;
      };
      const interruption = new AbortController();
      const running = bed.begin({ signal: interruption.signal });
      let isOver = false;
      void running.then(() => {
        isOver = true;
      });
      for (let tick = 0; tick < 20; tick++) await bed.clock.advance(60_000);
      expect(isOver).toBe(false);
      interruption.abort();
      await bed.clock.settle();
      expect(isOver).toBe(true);
      expect(await running).toMatchObject({ interrupted: true, complete: false, spans: { sent: 0 } });
      expect((await running).error).toBeUndefined();
    });
  }

  it('ends a run while an export hangs, and the report says what has been sent', async () => {
    const bed = await archived(3, 100);
    const interruption = new AbortController();
    const hang = () => {
      bed.clock.setTimeout(() => interruption.abort(), 3_000);
      return new Promise<never>(() => {});
    };
    bed.to.script(['delivered', hang]);
    const running = bed.clock.run(bed.begin({ signal: interruption.signal }));
    const report = await running;
    expect(report).toMatchObject({
      interrupted: true,
      objects: { done: 1, left: 2 },
      spans: { selected: 200, sent: 100, failed: 100 },
      failures: [{ message: 'the run was ended by its signal', spans: 100 }],
      resumeFromMillis: NOON + HOUR,
    });
    expect(bed.clock.pendingTimers).toBe(0);
  });

  it('that has been given before keeps everything from being asked', async () => {
    const bed = await archived(1, 10);
    bed.warm.calls.length = 0;
    const report = await bed.run({ signal: AbortSignal.abort() });
    expect(report).toMatchObject({ interrupted: true, complete: false, objects: { found: 0 }, resumeFromMillis: 0 });
    expect(bed.warm.calls).toEqual([]);
  });

  it('has no listener left of a run that is over', async () => {
    const bed = await archived(2, 10);
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = ((type: string, listener: never) => {
      listeners.add(listener);
      add(type, listener);
    }) as never;
    signal.removeEventListener = ((type: string, listener: never) => {
      listeners.delete(listener);
      remove(type, listener);
    }) as never;
    await bed.run({ signal });
    expect(listeners.size).toBe(0);
  });
});
