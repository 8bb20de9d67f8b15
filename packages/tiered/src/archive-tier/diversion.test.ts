import { type FileSystem, SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { spoolThat } from '../../../../test/support/tiered.js';
import { TieredSpanExporter, type TieredSpanExporterOptions } from '../index.js';
import { Spool } from '../spool/disk-spool.js';
import { MemorySpool } from '../spool/memory-spool.js';

const SPANS = 100;
/** So large that batches are not joined. */
const BYTES = 600_000;
/** Nothing is taken out of the spool before it is old. */
const LATE_PROBES = { probeIntervalMillis: 100_000, replayTimeoutMillis: 100_000 };
/** Whatever is older than a minute is too old for hot; everything is copied when it comes. */
const RULES: TieredSpanExporterOptions['rules'] = [{ minAgeMillis: 60_000, to: 'warm' }, { to: ['hot', 'warm'] }];

function setUp(options: Partial<TieredSpanExporterOptions> = {}, clock = new VirtualClock()) {
  const hot = new ScriptedBatchExporter({ clock });
  const warm = new ScriptedBatchExporter({ clock, prefers: 'spans' });
  const spool = new MemorySpool();
  const tiered = new TieredSpanExporter({ hot, spool, warm, rules: RULES, clock, ...options });
  const send = (spans = SPANS, ageMillis = 0) => {
    const all = fakeSpans(spans, { startMillis: clock.wallTime() - ageMillis });
    const context = { signal: new AbortController().signal, deadline: clock.now() + 5_000 };
    return clock.run(tiered.exportBatch(SpanBatch.fromSpans(all, { byteLength: BYTES }), context));
  };
  return { clock, hot, warm, spool, tiered, send };
}

const spansOf = ({ exports }: ScriptedBatchExporter) => exports.reduce((sum, { batch }) => sum + batch.spanCount, 0);

describe('what has become too old for hot', () => {
  it('is not archived again by who has a copy', async () => {
    const { clock, hot, warm, tiered, send, spool } = setUp();
    hot.respond('retryable');
    await send();
    await clock.advance(120_000);
    hot.respond('delivered');
    await send(1);
    await clock.advance(120_000);
    expect(spool.stats().waiting).toBe(0);
    expect(spansOf(warm)).toBe(SPANS + 1);
    await clock.run(tiered.shutdown());
  });

  it('is archived after a restart: the copy may have been lost with the process', async () => {
    const clock = new VirtualClock();
    const disk = new FaultyDisk();
    const onDisk = (fileSystem: FileSystem, directory = '/hot') =>
      new Spool({ directory, fsync: 'always', fileSystem, clock });
    const first = setUp({ spool: onDisk(disk) }, clock);
    first.hot.respond('retryable');
    expect(await first.send()).toMatchObject({ stored: SPANS });
    const left = disk.crash({ keep: 'none' });
    await clock.advance(120_000);
    const exporter = new ScriptedBatchExporter({ clock, prefers: 'spans' });
    const second = setUp({ spool: onDisk(left), warm: { exporter, spool: onDisk(left, '/warm') } }, clock);
    await clock.run(second.tiered.open());
    await clock.advance(120_000);
    expect(second.tiered.stats().spool).toMatchObject({ recovered: SPANS, waiting: 0 });
    expect(spansOf(exporter)).toBe(SPANS);
    expect(spansOf(second.hot)).toBe(0);
    await clock.run(second.tiered.shutdown());
  });

  it('goes from disk to hot rather than into the memory of an archive', async () => {
    const clock = new VirtualClock();
    const disk = new FaultyDisk();
    const spool = new Spool({ directory: '/hot', fsync: 'always', fileSystem: disk, clock });
    const { hot, tiered, send } = setUp({ spool, rules: [{ minAgeMillis: 60_000, to: 'warm' }, { to: 'hot' }] }, clock);
    hot.respond('retryable');
    await send();
    await clock.advance(120_000);
    expect(tiered.stats()).toMatchObject({ divertedSpans: 0, spool: { waiting: SPANS } });
    hot.respond('delivered');
    await clock.advance(120_000);
    expect(tiered.stats()).toMatchObject({ divertedSpans: 0, spool: { delivered: SPANS }, warm: { divertedSpans: 0 } });
    await clock.run(tiered.shutdown());
  });

  it('is archived when the archive has lost copies', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedBatchExporter({ clock, prefers: 'spans' });
    const memory = new MemorySpool();
    let full = true;
    const spool = spoolThat(
      { append: async (batch) => (full ? { stored: 0, dropped: batch.spanCount } : memory.append(batch)) },
      memory,
    );
    const { hot, tiered, send } = setUp({ warm: { exporter, spool }, ...LATE_PROBES }, clock);
    hot.respond('retryable');
    await send();
    expect(tiered.stats().warm).toMatchObject({ missedSpans: SPANS });
    full = false;
    await clock.advance(240_000);
    expect(spansOf(exporter)).toBe(SPANS);
  });

  it('stays with hot while the archive has no room: nothing else is evicted for it', async () => {
    const rules = [{ minAgeMillis: 60_000, to: 'warm' as const }, { to: 'hot' as const }];
    const clock = new VirtualClock();
    const exporter = new ScriptedBatchExporter({ clock, prefers: 'spans', otherwise: 'retryable' });
    const warm = {
      exporter,
      spool: new MemorySpool({ maxBytes: Math.floor(2.5 * SpanBatch.fromSpans(fakeSpans(SPANS)).byteLength) }),
    };
    const { hot, tiered, send, spool } = setUp({ warm, rules }, clock);
    hot.respond('retryable');
    for (let batch = 0; batch < 40; batch++) await send();
    await clock.advance(120_000);
    hot.respond('delivered');
    await clock.advance(10_000);
    const { divertedSpans, warm: archive } = tiered.stats();
    expect(archive!.spool.dropped).toEqual({});
    expect(divertedSpans).toBe(2 * SPANS);
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 40 * SPANS });
  });

  it('is copied to the second of two archives when the first takes it, and not each time that it refuses', async () => {
    const rules = [{ minAgeMillis: 60_000, to: ['warm', 'cold'] as const }, { to: 'hot' as const }];
    const clock = new VirtualClock();
    const refusing = spoolThat({ append: async (batch) => ({ stored: 0, dropped: batch.spanCount }) });
    const warm = { exporter: new ScriptedBatchExporter({ clock }), spool: refusing };
    const cold = new ScriptedBatchExporter({ clock, prefers: 'spans' });
    const { hot, tiered, send } = setUp({ warm, cold, rules }, clock);
    hot.respond('retryable');
    for (let batch = 0; batch < 40; batch++) await send();
    await clock.advance(180_000);
    hot.respond('delivered');
    await clock.advance(120_000);
    expect(spansOf(cold)).toBe(0);
    expect(tiered.stats().spool.waiting).toBe(0);
  });

  it('has left the spool of hot, as its books say, when it is called diverted', async () => {
    const rules = [{ minAgeMillis: 60_000, to: 'warm' as const }, { to: 'hot' as const }];
    const { clock, hot, tiered } = setUp({ rules, probeIntervalMillis: 10_000 });
    hot.respond('retryable');
    const mixed = () =>
      SpanBatch.fromSpans([55_000, 0].flatMap((age) => fakeSpans(SPANS, { startMillis: clock.wallTime() - age })));
    const check = () => expect(tiered.stats().divertedSpans).toBeLessThanOrEqual(tiered.stats().spool.delivered);
    await clock.run(
      tiered.exportBatch(mixed(), { signal: new AbortController().signal, deadline: clock.now() + 5_000 }),
    );
    for (let second = 0; second < 30; second++) {
      await clock.advance(1_000);
      check();
    }
    expect(tiered.stats().warm!.divertedSpans).toBe(SPANS);
    hot.respond('delivered');
    await clock.advance(20_000);
    check();
    expect(tiered.stats()).toMatchObject({ divertedSpans: SPANS, spool: { waiting: 0, delivered: 2 * SPANS } });
  });

  it('is taken out with pauses', async () => {
    const rules = [{ minAgeMillis: 60_000, to: 'warm' as const }, { to: 'hot' as const }];
    const { clock, hot, send, tiered } = setUp({ rules, ...LATE_PROBES });
    hot.respond('retryable');
    for (let batch = 0; batch < 50; batch++) await send();
    await clock.advance(90_000);
    expect(tiered.stats().divertedSpans).toBe(0);
    const took: number[] = [];
    let before = 0;
    let open = true;
    const sampling = (async () => {
      while (open) {
        await new Promise((resolve) => setImmediate(resolve));
        took.push(tiered.stats().divertedSpans - before);
        before += took.at(-1)!;
      }
    })();
    await clock.advance(10_000);
    open = false;
    await sampling;
    expect(before).toBe(50 * SPANS);
    expect(Math.max(...took)).toBeLessThan(3 * SPANS);
  });
});
