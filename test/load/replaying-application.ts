import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type LedgerSnapshot, sleep, systemClock } from '@otel-resilience/core';
import { OtlpSpanExporter } from '../../packages/otlp/src/otlp-span-exporter.js';
import { AdaptiveBatchSpanProcessor } from '../../packages/processor/src/adaptive-batch-span-processor.js';
import { fakeSpan } from '../../packages/testing/src/fake-span.js';
import { Spool } from '../../packages/tiered/src/spool/disk-spool.js';
import { MemorySpool } from '../../packages/tiered/src/spool/memory-spool.js';
import type { SpanSpool } from '../../packages/tiered/src/spool/spool.js';
import { TieredSpanExporter } from '../../packages/tiered/src/tiered-span-exporter.js';
import { maxBytesFor } from './make-backlog.js';

export interface ReplayJob {
  readonly directory: string;
  readonly bytes: number;
  readonly url: string;
  readonly replaySpansPerSecond: number;
  readonly liveSpansPerSecond: number;
}

export interface ReplayFigures {
  readonly openMillis: number;
  readonly recoveredSpans: number;
  /** From the first look at the spool until nothing waits in it. */
  readonly replayMillis: number;
  /** Resident memory of the process, live spans flowing, before the spool is opened; and what it became at most. */
  readonly rssBytes: number;
  readonly rssGrowthBytes: number;
  readonly loopDelayMaxMillis: number;
  /** Of live spans: before the spool is opened, and from then on. */
  readonly warmUp: LedgerSnapshot;
  readonly live: LedgerSnapshot;
  readonly spool: ReturnType<Spool['stats']>;
}

/** No index of the backlog's is as large as that. */
const FIRST_LIVE_INDEX = 1e9;
const WARM_UP_MILLIS = 3_000;
const SAMPLE_MILLIS = 50;
const TICK_MILLIS = 10;

/** An application under a steady load that finds a backlog at its start. */
export async function replay(job: ReplayJob, say: (figures: ReplayFigures) => void): Promise<void> {
  const load = new LiveLoad(job.liveSpansPerSecond);
  const before = pipeline(job, new MemorySpool());
  load.direct(before.processor);
  const rss = new RssSamples();
  await sleepAlive(WARM_UP_MILLIS);
  const rssBytes = rss.median(WARM_UP_MILLIS / 3);
  rss.restart();
  const loopDelay = monitorEventLoopDelay({ resolution: 1 });
  loopDelay.enable();

  const spool = new Spool({ directory: job.directory, maxBytes: maxBytesFor(job.bytes), required: true });
  const after = pipeline(job, spool);
  load.direct(after.processor);
  const beganAt = performance.now();
  await after.exporter.open();
  const openMillis = performance.now() - beganAt;
  const recoveredSpans = spool.stats().recovered;
  while (spool.size > 0) await sleepAlive(SAMPLE_MILLIS);
  const replayMillis = performance.now() - beganAt;
  await sleepAlive(500);
  load.stop();
  const rssGrowthBytes = rss.max - rssBytes;
  await before.processor.shutdown();
  await after.processor.forceFlush();
  const live = after.processor.stats().ledger;
  await after.processor.shutdown();
  rss.stop();
  say({
    openMillis,
    recoveredSpans,
    replayMillis,
    rssBytes,
    rssGrowthBytes,
    loopDelayMaxMillis: loopDelay.max / 1e6,
    warmUp: before.processor.stats().ledger,
    live,
    spool: spool.stats(),
  });
}

function pipeline({ url, replaySpansPerSecond }: ReplayJob, spool: SpanSpool) {
  const hot = new OtlpSpanExporter({ url, protocol: 'http/protobuf' });
  const exporter = new TieredSpanExporter({ hot, spool, replaySpansPerSecond });
  return { exporter, processor: new AdaptiveBatchSpanProcessor({ exporter, scheduledDelayMillis: 500 }) };
}

class LiveLoad {
  private readonly timer: NodeJS.Timeout;
  private processor: AdaptiveBatchSpanProcessor | undefined;
  private index = FIRST_LIVE_INDEX;

  constructor(spansPerSecond: number) {
    const beganAt = performance.now();
    this.timer = setInterval(() => {
      const due = FIRST_LIVE_INDEX + ((performance.now() - beganAt) / 1_000) * spansPerSecond;
      for (; this.index < due; this.index++) this.processor?.onEnd(fakeSpan({ index: this.index }));
    }, TICK_MILLIS);
  }

  direct(processor: AdaptiveBatchSpanProcessor): void {
    this.processor = processor;
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

class RssSamples {
  private readonly samples: number[] = [];
  private readonly timer = setInterval(() => this.sample(), SAMPLE_MILLIS);

  get max(): number {
    this.sample();
    return Math.max(...this.samples);
  }

  /** Of the last so many milliseconds. */
  median(millis: number): number {
    const last = this.samples.slice(-millis / SAMPLE_MILLIS).sort((a, b) => a - b);
    return last[last.length >> 1]!;
  }

  restart(): void {
    this.samples.length = 0;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private sample(): void {
    this.samples.push(process.memoryUsage.rss());
  }
}

// The clock's timers keep no process alive; the load's do.
const sleepAlive = (millis: number): Promise<boolean> => sleep(systemClock, millis);
