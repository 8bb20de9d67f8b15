import { type ExportOutcome, SpanBatch, type SpanBatchExporterBase } from '@otel-resilience/core';
import {
  breakerChain,
  CircuitBreaker,
  CircuitBreakerSpanExporter,
  FailoverSpanExporter,
  RetryBudget,
  RetryingSpanExporter,
} from '@otel-resilience/exporter';
import { resilience } from '@otel-resilience/node';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { fakeSpans, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import { describe, expect, it } from 'vitest';

type Plain = Record<string, unknown> | unknown[];

/** Options, lists of options included, that note who reads them once they are sealed. Dependencies are not options. */
class Watched {
  readonly reads: string[] = [];
  private sealed = false;

  watch<T extends Plain>(options: T, path = 'options'): T {
    const parts = Object.entries(options).map(([key, value]) => [
      key,
      isPlain(value) ? this.watch(value, `${path}.${key}`) : value,
    ]);
    const copy = Array.isArray(options) ? parts.map(([, value]) => value) : Object.fromEntries(parts);
    return new Proxy(copy, {
      get: (target, key, receiver) => {
        if (this.sealed) this.reads.push(`${path}.${String(key)}`);
        return Reflect.get(target, key, receiver);
      },
    });
  }

  seal(): void {
    this.sealed = true;
  }
}

function isPlain(value: unknown): value is Plain {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

const failure = { kind: 'failure' as const, error: new Error('no') };
const flaky = (clock: VirtualClock) => new ScriptedExporter({ clock, script: [failure, 'success', failure, failure] });

async function exportThrough(exporter: SpanBatchExporterBase, clock: VirtualClock): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
    const outcome: ExportOutcome = await clock.run(exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(3)), context));
    expect(outcome).toBeDefined();
    await clock.advance(1_000);
  }
  await clock.run(exporter.forceFlush().catch(() => {}));
  await clock.run(exporter.shutdown());
}

/** Constructs with watched options, then lets the component live. */
const LIVES: Record<string, (watched: Watched, clock: VirtualClock) => Promise<void>> = {
  async AdaptiveBatchSpanProcessor(watched, clock) {
    const exporter = flaky(clock);
    const options = watched.watch({ exporter, clock, maxQueueSize: 20, maxExportBatchSize: 5, dropPolicy: 'priority' });
    const processor = new AdaptiveBatchSpanProcessor(options as never);
    watched.seal();
    for (const span of fakeSpans(200)) processor.onEnd(span);
    await clock.advance(60_000);
    await clock.run(processor.forceFlush().catch(() => {}));
    await clock.run(processor.shutdown());
    processor.stats();
  },
  async RetryingSpanExporter(watched, clock) {
    const budget = { capacity: 100, retryCost: 10, clock };
    const options = watched.watch({ exporter: flaky(clock), clock, budget, maxRetries: 2, random: () => 0.5 });
    const exporter = new RetryingSpanExporter(options as never);
    watched.seal();
    await exportThrough(exporter, clock);
  },
  async RetryBudget(watched, clock) {
    const budget = new RetryBudget(watched.watch({ clock, capacity: 20, retryCost: 10 }));
    watched.seal();
    for (let i = 0; i < 5; i++) {
      const taken = budget.tryAcquire('retryable');
      if (taken !== undefined && i % 2 === 0) budget.release(taken);
      budget.recordSuccess();
      await clock.advance(1_000);
    }
  },
  async CircuitBreaker(watched, clock) {
    const breaker = new CircuitBreaker(watched.watch({ clock, strategy: 'composite' as const, openMillis: 100 }));
    watched.seal();
    for (let i = 0; i < 50; i++) {
      const permit = breaker.tryAcquire({ lastResort: i % 2 === 0 });
      if (i % 7 === 0) permit?.success({ durationMillis: 5 });
      else permit?.failure({ durationMillis: 2_000 });
      await clock.advance(50);
    }
    breaker.metrics();
    breaker.reset();
  },
  async CircuitBreakerSpanExporter(watched, clock) {
    const options = watched.watch({ exporter: flaky(clock), clock, consecutiveFailures: 1, openMillis: 500 });
    const exporter = new CircuitBreakerSpanExporter(options);
    watched.seal();
    await exportThrough(exporter, clock);
  },
  async FailoverSpanExporter(watched, clock) {
    const endpoints = [
      { name: 'a', exporter: flaky(clock), priority: 1, weight: 1 },
      { name: 'b', exporter: flaky(clock), priority: 0, weight: 2 },
    ];
    const options = watched.watch({ endpoints, clock, strategy: 'weighted', onFailover: () => {} });
    const exporter = new FailoverSpanExporter(options as never);
    watched.seal();
    await exportThrough(exporter, clock);
    exporter.endpoints();
  },
  async breakerChain(watched, clock) {
    const levels = [{ exporter: flaky(clock), openMillis: 500 }, flaky(clock)];
    const exporter = breakerChain(watched.watch({ levels, clock }));
    watched.seal();
    await exportThrough(exporter, clock);
    exporter.states();
  },
  async TieredSpanExporter(watched, clock) {
    const options = { hot: flaky(clock), spool: new MemorySpool(), clock, probeIntervalMillis: 100 };
    const exporter = new TieredSpanExporter(watched.watch(options));
    watched.seal();
    await exportThrough(exporter, clock);
    exporter.stats();
  },
  async MemorySpool(watched) {
    const spool = new MemorySpool(watched.watch({ maxBytes: 5_000 }));
    watched.seal();
    for (let i = 0; i < 5; i++) await spool.append(SpanBatch.fromSpans(fakeSpans(3)));
    await spool.lease();
    await spool.shutdown();
  },
  async resilience(watched, clock) {
    const { sdk, status, shutdown } = resilience(
      watched.watch({
        exporters: [{ exporter: flaky(clock), priority: 1, weight: 1 }, flaky(clock)],
        processor: { maxQueueSize: 100 },
        retry: { maxRetries: 1, budget: { capacity: 50 } },
        circuitBreaker: { openMillis: 500 },
        failover: { strategy: 'roundRobin' },
        tiered: { probeIntervalMillis: 100 },
        spool: { maxBytes: 1_000_000 },
        clock,
      } as Record<string, unknown>),
    );
    watched.seal();
    for (const span of fakeSpans(300)) sdk.spanProcessors[0]!.onEnd(span);
    await clock.advance(60_000);
    status();
    await clock.run(shutdown());
  },
  async 'resilience, over the wire'(watched, clock) {
    const headers = { authorization: 'Bearer first' };
    const endpoints = ['grpc', 'http/protobuf'].map((protocol) => ({
      name: protocol,
      url: 'http://127.0.0.1:1',
      protocol,
      headers,
    }));
    const { sdk, status, shutdown } = resilience(watched.watch({ endpoints, clock } as Record<string, unknown>));
    watched.seal();
    for (const span of fakeSpans(3)) sdk.spanProcessors[0]!.onEnd(span);
    status();
    await clock.run(shutdown());
  },
};

describe('options are read once, in the constructor, so that changing them later changes nothing', () => {
  it.each(Object.keys(LIVES))('%s', async (name) => {
    const watched = new Watched();
    await LIVES[name]!(watched, new VirtualClock());
    expect(watched.reads).toEqual([]);
  });
});
