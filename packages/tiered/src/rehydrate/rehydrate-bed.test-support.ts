import type { SpanBatch, Timer } from '@otel-resilience/core';
import { type FakeSpanOverrides, fakeSpan, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { expect } from 'vitest';
import { batchOf, soon } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { ArchiveWriter, type ArchiveWriterOptions } from '../object-store/archive-writer.js';
import { rehydrate } from './rehydrate.js';
import type { RehydrateOptions } from './rehydrate-options.js';
import type { RehydrateReport } from './rehydrate-report.js';

/**
 * A virtual clock for what also works in the thread pool (gzip, hashes), of which no timer tells: while no timer is set
 * but those that keep the process alive, real time passes.
 */
export class PatientClock extends VirtualClock {
  /** Called with each timer that is set. */
  onTimer: () => void = () => {};
  private readonly due = new Map<Timer, number>();
  private readonly keepers = new Set<Timer>();

  override setTimeout(callback: () => void, delayMillis: number, options?: { keepAlive?: boolean }): Timer {
    const timer: Timer = super.setTimeout(() => {
      this.due.delete(timer);
      this.keepers.delete(timer);
      callback();
    }, delayMillis);
    this.onTimer();
    if (options?.keepAlive) this.keepers.add(timer);
    else this.due.set(timer, this.now() + Math.max(0, delayMillis));
    return timer;
  }

  override clearTimeout(timer: Timer | undefined): void {
    if (timer) this.due.delete(timer);
    if (timer) this.keepers.delete(timer);
    super.clearTimeout(timer);
  }

  /** Timers that keep the process alive. */
  get keepingAlive(): number {
    return this.keepers.size;
  }

  override async run<T>(promise: Promise<T>, limitMillis = 30 * DAY): Promise<T> {
    let open = true;
    const close = () => {
      open = false;
    };
    promise.then(close, close);
    const until = this.now() + limitMillis;
    for (;;) {
      await this.settle();
      if (!open) return promise;
      const next = Math.min(...this.due.values());
      if (Number.isFinite(next) && next > until) throw new Error(`still pending after ${limitMillis} ms`);
      if (Number.isFinite(next)) await this.advance(Math.max(0, next - this.now()));
    }
  }
}

export const DAY = 86_400_000;

/** Two stores, an exporter, and a clock for all of them. */
export class RehydrateBed {
  readonly clock = new PatientClock();
  readonly warm = new MemoryObjectStore({ clock: this.clock });
  readonly cold = new MemoryObjectStore({ clock: this.clock });
  readonly to = new ScriptedBatchExporter({ clock: this.clock, prefers: 'bytes' });

  /** Into the warm store, unless it is said otherwise. */
  async archive(batch: SpanBatch | readonly FakeSpanOverrides[], options: Partial<ArchiveWriterOptions> = {}) {
    const whole = Array.isArray(batch) ? batchOf(batch) : (batch as SpanBatch);
    const writer = new ArchiveWriter({ store: this.warm, ...options });
    expect(await writer.exportBatch(whole, soon())).toMatchObject({ delivered: whole.spanCount });
  }

  /** Of data, in the order of the keys. */
  keys(store: MemoryObjectStore = this.warm): string[] {
    return store.keys.filter((key) => key.endsWith('.otlp.gz'));
  }

  begin(options: Partial<RehydrateOptions> = {}): Promise<RehydrateReport> {
    const { clock, to } = this;
    return rehydrate({ from: [this.warm, this.cold], to, clock, random: () => 0.5, ...options });
  }

  /** Its books balance, and nothing is left of it. */
  async run(options: Partial<RehydrateOptions> = {}, limitMillis?: number): Promise<RehydrateReport> {
    const report = await this.clock.run(this.begin(options), limitMillis);
    expectBalanced(report);
    expect(this.clock.pendingTimers).toBe(0);
    return report;
  }

  get sentIds(): string[] {
    return this.to.exports.flatMap(({ batch }) => spanIds(batch)).sort();
  }
}

export const spanIds = (batch: SpanBatch): string[] =>
  batch
    .slice(0)
    .spans()
    .map((span) => span.spanContext().spanId);
export const idsOf = (spans: readonly FakeSpanOverrides[]): string[] =>
  spans.map((span) => fakeSpan(span).spanContext().spanId).sort();

export function expectBalanced({ objects, spans }: RehydrateReport): void {
  for (const count of [...Object.values(objects), ...Object.values(spans)]) expect(count).toBeGreaterThanOrEqual(0);
  expect(objects.done + objects.damaged + objects.archived + objects.failed + objects.left).toBe(objects.found);
  const { sent, stored, rejected, dropped, duplicates, failed } = spans;
  expect(sent + stored + rejected + dropped + duplicates + failed).toBe(spans.selected);
}
