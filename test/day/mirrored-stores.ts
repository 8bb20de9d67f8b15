import { deliveredOutcome, type ExportOutcome, type SpanBatch, SpanBatchExporterBase } from '@otel-resilience/core';
import type { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import { TieredSpanExporter } from '@otel-resilience/tiered';
import { DiskStores } from './mortal-stores.js';

const STEP_MILLIS = 20;

/** Archived as an application does it: everything goes to a backend, and as a copy to warm. */
export class MirroredStores extends DiskStores {
  private mirror: { readonly disk: FaultyDisk; readonly exporter: TieredSpanExporter } | undefined;

  /** Never killed: what was gathered is gathered otherwise the next time, and then in two objects. */
  override async archive(batch: SpanBatch): Promise<boolean> {
    const { clock } = this.options;
    const { exporter } = this.openMirror();
    const context = { signal: new AbortController().signal, deadline: clock.now() + 20_000 };
    const before = exporter.stats().warm!.spool.delivered;
    const outcome = await finish(clock, exporter.exportBatch(batch, context));
    if (outcome.delivered !== batch.spanCount) throw new Error(`hot has taken ${outcome.delivered}`);
    await finish(clock, exporter.forceFlush({ deadline: clock.now() + 600_000 }));
    const archived = exporter.stats().warm!.spool.delivered - before;
    if (archived !== batch.spanCount)
      throw new Error(`warm has taken ${archived}: ${JSON.stringify(exporter.stats())}`);
    return true;
  }

  override async close(): Promise<void> {
    const { clock } = this.options;
    if (this.mirror) await finish(clock, this.mirror.exporter.shutdown());
  }

  private openMirror(): { readonly exporter: TieredSpanExporter } {
    const { disk } = this;
    if (this.mirror?.disk !== disk) {
      const exporter = new TieredSpanExporter({
        hot: new Backend(),
        warm: this.tiersOfProcess().warm,
        clock: this.options.clock,
      });
      this.mirror = { disk, exporter };
    }
    return this.mirror;
  }
}

/** Takes everything. */
class Backend extends SpanBatchExporterBase {
  async exportBatch(batch: SpanBatch): Promise<ExportOutcome> {
    return deliveredOutcome(batch.spanCount);
  }
}

/** Moves time on while something is waited for, and lets the thread pool do its part. */
async function finish<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isOpen = true;
  const close = () => {
    isOpen = false;
  };
  promise.then(close, close);
  while (isOpen) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (isOpen) await clock.advance(STEP_MILLIS);
  }
  return promise;
}
