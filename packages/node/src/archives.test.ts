import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpanStatusCode } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { sleep, systemClock, totalDropped } from '@otel-resilience/core';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import {
  CountingReceiver,
  fakeSpans,
  ScriptedBatchExporter,
  ScriptedExporter,
  spanKey,
  VirtualClock,
} from '@otel-resilience/testing';
import { ArchiveReader, FileObjectStore, Lifecycle, MemorySpool, rehydrate, Spool } from '@otel-resilience/tiered';
import { afterEach, describe, expect, it } from 'vitest';
import { all } from '../../../test/support/archive.js';
import { spoolThat } from '../../../test/support/tiered.js';
import { readCheckpoint } from '../../tiered/src/spool/checkpoint-record.js';
import { resilience } from './resilience.js';
import type { ResilienceOptions } from './resilience-options.js';

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-resilience-archives-'));
  closing.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function start(tiered: ResilienceOptions['tiered'], options: ResilienceOptions = {}) {
  const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
  const endpoints = [{ url: await receiver.start(), protocol: 'http/protobuf' as const }];
  closing.push(() => receiver.stop());
  const r = resilience({ transport: 'otlp', endpoints, tiered, ...options });
  const provider = new BasicTracerProvider({ sampler: r.sdk.sampler, spanProcessors: r.sdk.spanProcessors });
  closing.push(() => provider.shutdown());
  const end = (count: number, isError = false) => {
    for (let i = 0; i < count; i++) {
      const span = provider.getTracer('test').startSpan(`span ${i}`);
      if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    }
  };
  return { r, receiver, end };
}

async function idsIn(store: FileObjectStore): Promise<string[]> {
  const reader = new ArchiveReader({ store });
  const ids: string[] = [];
  for (const found of await all(reader.find({}))) {
    for (const span of (await reader.read(found)).spans()) ids.push(spanKey(span.spanContext()));
  }
  return ids;
}

describe('resilience({ tiered: { warm } })', () => {
  it('archives what it sends, and accounts for both', async () => {
    const store = new FileObjectStore({ directory: join(scratch(), 'archive') });
    const { r, receiver, end } = await start({ warm: store });
    end(700);
    await r.forceFlush();
    expect((await idsIn(store)).sort()).toEqual([...receiver.spanIds.keys()].sort());
    const { balanced, totals, tiered } = r.status();
    expect(balanced).toBe(true);
    expect(totals).toMatchObject({ ended: 700, delivered: 700, archived: 0, waiting: 0 });
    expect(tiered.warm).toMatchObject({ copiedSpans: 700, spool: { delivered: 700 }, writer: { spans: 700 } });
  });

  it('indexes little and archives everything: what hot does not get is in the totals as archived', async () => {
    const store = new FileObjectStore({ directory: join(scratch(), 'archive') });
    const spool = new Spool({ directory: join(scratch(), 'waiting') });
    const rules = [{ error: true, to: ['hot', 'warm'] as const }, { to: 'warm' as const }];
    const { r, receiver, end } = await start({ warm: { store, spool }, rules });
    end(300);
    end(40, true);
    await r.forceFlush();
    expect(receiver.spanIds.size).toBe(40);
    const { balanced, totals, tiered } = r.status();
    expect(balanced).toBe(true);
    expect(totals).toMatchObject({ ended: 340, delivered: 40, archived: 300, waiting: 0, dropped: {} });
    expect(tiered.warm).toMatchObject({ routedSpans: 300, copiedSpans: 40, durable: true });
    await r.shutdown();
    // A spool on disk holds up neither flush nor shutdown: the next process archives what waits.
    const after = await start({
      warm: {
        store: new FileObjectStore({ directory: store.directory }),
        spool: new Spool({ directory: spool.directory }),
        scheduledDelayMillis: 10,
      },
    });
    const left = () => idsIn(new FileObjectStore({ directory: store.directory }));
    await expect.poll(async () => (await left()).length, { timeout: 10_000 }).toBe(340);
    expect(after.r.status().balanced).toBe(true);
  });

  it('follows the level of the controller', async () => {
    const store = new FileObjectStore({ directory: join(scratch(), 'archive') });
    const { r, receiver, end } = await start(
      { warm: store, rules: [{ fromLevel: 'heavy', to: 'warm' }, { to: 'hot' }] },
      { sampler: { ratio: 1 } },
    );
    end(10);
    await r.forceFlush();
    r.degradation.force('heavy');
    end(50, true);
    await r.forceFlush();
    expect(receiver.spanIds.size).toBe(10);
    expect(r.status()).toMatchObject({ balanced: true, totals: { delivered: 10, archived: 50 } });
  });

  it('and the way back: moved to cold by age, found there, and sent again', async () => {
    const warm = new FileObjectStore({ directory: join(scratch(), 'warm') });
    const cold = new FileObjectStore({ directory: join(scratch(), 'cold') });
    const { r, receiver, end } = await start({ warm: { store: warm } });
    end(120);
    await r.forceFlush();
    const clock = { ...systemClock, wallTime: () => Date.now() + 7_300_000 };
    const lifecycle = new Lifecycle({ warm, cold, coldAfterMillis: 3_600_000, clock });
    expect(await lifecycle.run()).toMatchObject({ complete: true });
    expect(await idsIn(warm)).toEqual([]);
    const again = new CountingReceiver({ protocol: 'http/protobuf' });
    const url = await again.start();
    closing.push(() => again.stop());
    const to = new OtlpSpanExporter({ url, protocol: 'http/protobuf' });
    const report = await rehydrate({ from: [warm, cold], to });
    await to.shutdown();
    expect(report).toMatchObject({ complete: true });
    expect([...again.spanIds.keys()].sort()).toEqual([...receiver.spanIds.keys()].sort());
  });

  it('leaves on disk what an archive would have in memory, and so the bound of a crash as it is', async () => {
    const clock = new VirtualClock();
    const directory = scratch();
    const { sdk, status, shutdown } = resilience({
      exporters: [new ScriptedExporter({ clock, otherwise: { kind: 'failure', error: new Error('down') } })],
      spool: { directory },
      tiered: {
        warm: { exporter: new ScriptedBatchExporter({ clock, otherwise: 'retryable' }) },
        rules: [{ minAgeMillis: 5_000, to: 'warm' }, { to: 'hot' }],
        probeIntervalMillis: 10_000,
      },
      clock,
    });
    for (const span of fakeSpans(50, { startMillis: clock.wallTime() })) sdk.spanProcessors[0]!.onEnd(span);
    const atMost = () => {
      const [name] = readdirSync(directory).filter((each) => each.startsWith('checkpoint-')) as [string];
      const { reserved, settled } = readCheckpoint(readFileSync(join(directory, name)))!;
      return reserved - settled;
    };
    const until = async (isReached: () => boolean) => {
      for (let turns = 0; !isReached() && turns < 2_000; turns++) {
        await clock.advance(10);
        await new Promise((resolve) => setTimeout(resolve, 1)); // the disk is a real one
      }
    };
    await until(() => status().tiered.spool.waiting === 50);
    await clock.advance(1_500);
    expect(status().tiered.divertedSpans).toBe(0);
    expect(atMost()).toBeLessThan(50);
    await clock.advance(20_000);
    await until(() => status().tiered.probes > 1);
    expect(status().tiered).toMatchObject({
      divertedSpans: 0,
      spool: { waiting: 50 },
      warm: { spool: { waiting: 0 } },
    });
    expect(status().totals).toMatchObject({ ended: 50, archived: 0, waiting: 50, delivered: 0 });
    expect(atMost()).toBeLessThan(50);
    const ended = shutdown();
    let open = true;
    ended.finally(() => {
      open = false;
    });
    await until(() => !open);
  });

  it('counts once what a slow spool has taken after it was given up', async () => {
    const clock = new VirtualClock();
    const memory = new MemorySpool();
    const spool = spoolThat({ append: (batch) => sleep(clock, 40_000).then(() => memory.append(batch)) }, memory);
    const { sdk, status, shutdown } = resilience({
      exporters: [new ScriptedExporter({ clock })],
      tiered: { warm: { exporter: new ScriptedBatchExporter({ clock }), spool }, rules: [{ to: 'warm' }] },
      clock,
    });
    for (const span of fakeSpans(10)) sdk.spanProcessors[0]!.onEnd(span);
    await clock.advance(38_000);
    expect(status().totals).toMatchObject({ ended: 10, waiting: 0, archived: 0 });
    expect(totalDropped(status().totals.dropped)).toBe(10);
    await clock.advance(10_000);
    const { totals, tiered } = status();
    expect(tiered.lateStored).toBe(10);
    expect(totals).toMatchObject({ ended: 10, waiting: 0, archived: 10, dropped: {} });
    await clock.run(shutdown());
  });

  it('is refused where it cannot be what it says', () => {
    expect(() => resilience({ tiered: { warm: '/archive' as never } })).toThrow(
      expect.objectContaining({ path: 'resilience.tiered.warm' }),
    );
    expect(() => resilience({ tiered: { controller: { level: 'normal' } } as never })).toThrow(
      expect.objectContaining({ path: 'resilience.tiered.controller' }),
    );
  });
});
