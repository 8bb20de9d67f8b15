import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { HOUR, NOON } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';
import { DAY, RehydrateBed } from './rehydrate-bed.test-support.js';
import type { RehydrateProgress } from './rehydrate-progress.js';

const GLACIER = { storageClass: 'GLACIER' } as const;

/** Objects of ten spans, one an hour. */
async function archived(hours: number, options: object = GLACIER, bed = new RehydrateBed()): Promise<RehydrateBed> {
  for (let hour = 0; hour < hours; hour++) {
    const spans = Array.from({ length: 10 }, (_, at) => ({ index: hour * 10 + at, startMillis: NOON + hour * HOUR }));
    await bed.archive(spans, options);
  }
  return bed;
}

const requests = (store: MemoryObjectStore) => store.calls.filter(({ operation }) => operation === 'requestRestore');

describe('what is archived', () => {
  it('is asked for first, all of it, and sent as it comes; what can be read is sent meanwhile', async () => {
    const bed = await archived(20);
    await archived(1, { storageClass: 'STANDARD', store: bed.cold }, bed);
    const extra = Array.from({ length: 5 }, (_, at) => ({ index: 900 + at, startMillis: NOON + 30 * HOUR }));
    await bed.archive(extra, { store: bed.cold });
    const startedAt = bed.clock.now();
    const report = await bed.run();
    // The first hour lies in both.
    expect(report).toMatchObject({ complete: true, objects: { found: 21, done: 21 }, spans: { sent: 205 } });
    expect(requests(bed.warm)).toHaveLength(19);
    const [first, second, third] = bed.to.exports;
    expect([first!.batch.spanCount, second!.batch.spanCount]).toEqual([10, 5]);
    expect(second!.at - startedAt).toBeLessThan(1_000);
    // After 4 h, found by the next look at them.
    expect(third!.at - startedAt).toBeGreaterThanOrEqual(4 * HOUR);
    expect(third!.at - startedAt).toBeLessThan(4 * HOUR + 61_000);
    const lastRequest = bed.warm.calls.findLastIndex(({ operation }) => operation === 'requestRestore');
    const firstRead = bed.warm.calls.findIndex(({ operation, key }) => operation === 'get' && key.endsWith('.gz'));
    expect(lastRequest).toBeLessThan(firstRead);
  });

  it('is asked for in the way that was chosen', async () => {
    const bed = await archived(1);
    const asked: object[] = [];
    const { requestRestore } = bed.warm;
    bed.warm.requestRestore = (key, options = {}) => {
      asked.push({ days: options.days, tier: options.tier });
      return requestRestore.call(bed.warm, key, options);
    };
    await bed.run({ restore: { days: 2, tier: 'Bulk' } });
    expect(asked).toEqual([{ days: 2, tier: 'Bulk' }]);
  });

  it('is sent at once where somebody else has restored it, or where nothing has to be', async () => {
    const bed = await archived(2);
    for (const key of bed.keys()) await bed.warm.requestRestore(key);
    await bed.clock.advance(5 * HOUR);
    const startedAt = bed.clock.now();
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 20 } });
    expect(bed.clock.now() - startedAt).toBeLessThan(1_000);
    expect(await bed.run({ restore: false })).toMatchObject({ complete: true, spans: { sent: 20 } });
  });

  it('is reported where nothing may be asked for', async () => {
    const bed = await archived(2);
    await archived(1, { store: bed.cold }, bed);
    const report = await bed.run({ restore: false });
    expect(report).toMatchObject({
      complete: false,
      objects: { done: 1, archived: 1 },
      problems: [{ state: 'archived', message: expect.stringContaining('ARCHIVED') }],
      resumeFromMillis: NOON + HOUR,
    });
    expect(requests(bed.warm)).toEqual([]);
  });

  it('is waited for no longer than that', async () => {
    const bed = new RehydrateBed();
    bed.warm.objects.clear();
    const slow = new MemoryObjectStore({ clock: bed.clock, restoreMillis: 3 * DAY });
    await archived(3, { ...GLACIER, store: slow }, bed);
    const startedAt = bed.clock.now();
    const report = await bed.run({ from: slow });
    expect(report).toMatchObject({
      complete: false,
      objects: { archived: 3 },
      problems: Array(3).fill({ state: 'archived', message: 'not restored within 172800 s' }),
    });
    expect(bed.clock.now() - startedAt).toBeLessThan(2 * DAY + 120_000);
  });

  it('is looked at once more when the wait is over, before it is given up', async () => {
    const bed = await archived(1);
    expect(await bed.run({ restoreTimeoutMillis: HOUR, restorePollMillis: 5 * HOUR })).toMatchObject({
      complete: true,
    });
  });

  it('is asked for again when its copy has expired before it was read, but not forever', async () => {
    for (const [expiries, complete] of [
      [2, true],
      [3, false],
    ] as const) {
      const bed = await archived(1);
      const [key] = bed.keys();
      let left: number = expiries;
      bed.warm.before = (operation, called) => {
        const stored = bed.warm.objects.get(key!)!;
        if (operation !== 'get' || called !== key || left-- <= 0) return;
        stored.restoredUntil = bed.clock.wallTime();
      };
      // Every restore has its own time.
      const report = await bed.run({ restoreTimeoutMillis: 5 * HOUR });
      expect(report.complete).toBe(complete);
      expect(requests(bed.warm)).toHaveLength(3);
      if (!complete) expect(report.problems[0]).toMatchObject({ state: 'archived', message: /3 times/ });
    }
  });

  it('is asked for again, too, when the look at it finds the copy expired', async () => {
    const bed = await archived(1);
    // Longer between two looks than a copy is kept.
    const report = await bed.run({ restore: { days: 1 }, restorePollMillis: 2 * DAY }, 60 * DAY);
    expect(report).toMatchObject({ complete: false, objects: { archived: 1 } });
    expect(requests(bed.warm)).toHaveLength(3);
  });

  it('is asked for again after a refusal that may pass', async () => {
    const bed = await archived(3);
    // As often as one request is tried.
    bed.warm.failNext('requestRestore', 'UNAVAILABLE', 21);
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 30 } });
  });

  it('is reported with what was said when it is refused', async () => {
    for (const code of ['UNAVAILABLE', 'DENIED', 'REFUSED_REQUEST'] as const) {
      const bed = await archived(2);
      await archived(1, { store: bed.cold }, bed);
      bed.warm.before = (operation) => {
        if (operation === 'requestRestore') throw new ObjectStoreError(code, 'not so fast');
      };
      const report = await bed.run();
      expect(report).toMatchObject({ objects: { archived: 1, done: 1 }, spans: { sent: 10 } });
      expect(report.problems[0]!.message).toBe(`the restore was refused: ${code}: not so fast`);
    }
  });

  it('is not asked for object by object where a store denies it', async () => {
    const bed = await archived(60);
    bed.warm.before = (operation) => {
      if (operation === 'requestRestore') throw new ObjectStoreError('DENIED', 'no');
    };
    expect(await bed.run()).toMatchObject({ objects: { archived: 60 } });
    expect(new Set(requests(bed.warm).map(({ key }) => key)).size).toBeLessThan(20);
  });

  it('is waited for while looks at it fail', async () => {
    const bed = await archived(1);
    bed.warm.failNext('head', 'UNAVAILABLE', 50);
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 10 } });
  });

  it('is reported as gone when it was removed while it was being restored', async () => {
    const bed = await archived(2);
    const [key] = bed.keys();
    bed.warm.after = (operation) => {
      if (operation === 'requestRestore') bed.warm.objects.delete(key!);
    };
    expect(await bed.run()).toMatchObject({ objects: { done: 1, failed: 1 }, problems: [{ key, state: 'failed' }] });
  });

  it('is found archived only when it is read, and restored then', async () => {
    const bed = await archived(2, {});
    const [, key] = bed.keys();
    // As an object in an archive tier of INTELLIGENT_TIERING, or one that was moved since it was found.
    bed.warm.before = (operation, called) => {
      const stored = bed.warm.objects.get(key!)!;
      if (operation === 'get' && called === key && !stored.restoredAt) stored.storageClass = 'GLACIER';
    };
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 20 } });
    expect(requests(bed.warm)).toHaveLength(1);
  });

  it('is refused when it comes back larger than it was', async () => {
    const bed = await archived(2);
    const [key] = bed.keys();
    bed.warm.after = (operation, called) => {
      if (operation !== 'requestRestore' || called !== key) return;
      bed.warm.objects.get(key)!.bytes = gzipSync(Buffer.alloc(50 * 1024 * 1024));
    };
    const report = await bed.run();
    expect(report).toMatchObject({ objects: { done: 1, damaged: 1 }, spans: { selected: 10, sent: 10 } });
    expect(report.problems).toMatchObject([{ key, state: 'damaged', message: expect.stringContaining('TOO_LARGE') }]);
  });

  it('does not wait behind what can be read: what has been restored goes first', async () => {
    const bed = await archived(1);
    const many = Array.from({ length: 40 }, (_, at) => ({ index: 500 + at, startMillis: NOON + (at + 2) * HOUR }));
    await bed.archive(many, { store: bed.cold });
    const startedAt = bed.clock.now();
    // 40 objects of one span, each of which takes 1,000 s.
    const report = await bed.run({ spansPerSecond: 0.001 });
    expect(report.complete).toBe(true);
    const restoredAt = bed.to.exports.findIndex(({ at }) => at - startedAt >= 4 * HOUR);
    expect(restoredAt).toBeGreaterThan(5);
    expect(restoredAt).toBeLessThan(20);
    const first = bed.to.exports.findIndex(({ batch }) => batch.summary.startMillis === NOON);
    expect(first - restoredAt).toBeLessThan(3);
  });

  it('is looked at by parts where there is much of it', async () => {
    const bed = await archived(250);
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 2_500 } });
    const looks = bed.warm.calls.filter(({ operation }) => operation === 'head').length;
    // 240 rounds of 100 before anything was restored, and one look at each.
    expect(looks).toBeLessThan(25_000);
  });

  it('shows in the progress, and ends at once when it is interrupted', async () => {
    const bed = await archived(3);
    const seen: RehydrateProgress[] = [];
    const interruption = new AbortController();
    const run = bed.begin({ signal: interruption.signal, onProgress: (progress) => seen.push(progress) });
    await bed.clock.run(Promise.race([run, new Promise((resolve) => bed.clock.setTimeout(() => resolve(0), HOUR))]));
    expect(seen.at(-1)).toMatchObject({
      phase: 'restoring',
      objects: { found: 3, done: 0, restoring: 3 },
      fraction: 0,
    });
    expect(seen.at(-1)!.etaMillis).toBeUndefined();
    interruption.abort();
    const report = await run;
    expect(report).toMatchObject({ interrupted: true, complete: false, objects: { left: 3 }, resumeFromMillis: NOON });
    expect(bed.clock.pendingTimers).toBe(0);
  });
});
