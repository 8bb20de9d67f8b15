import {
  aClock,
  anyExporter,
  type Clock,
  ConfigurationError,
  integer,
  millis,
  number,
  type OptionsOf,
  optional,
  type PipelineSignals,
  pipelineSignals,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import { MemorySpool } from './spool/memory-spool.js';
import { anySpool, type SpanSpool } from './spool/spool.js';

export interface TieredSpanExporterOptions {
  /** Where spans go live. A stock exporter is adapted and then gets one export at a time. */
  readonly hot: SpanExporter | SpanBatchExporter;
  /** Where they wait when `hot` cannot take them. This exporter owns it. Default: `new MemorySpool()`, 64 MiB. */
  readonly spool?: SpanSpool;
  /**
   * How long the hot tier may keep a live batch before it goes to the spool, in milliseconds; default 5,000, at least
   * 1. Bounds how long an outage can hold up the processor: two endpoints that swallow what is sent, 2,000 each, and
   * a second to spare. An attempt given up so may have been received: the batch is then sent twice. When that turns
   * out to be so, the hot tier gets twice the time it took from then on, up to 10,000.
   */
  readonly hotTimeoutMillis?: number;
  /** While the hot tier is down, a probe is sent this often, in milliseconds; default 500, at least 10. */
  readonly probeIntervalMillis?: number;
  /** How long a replay or a probe may take, in milliseconds; default 10,000, at least `probeIntervalMillis`. */
  readonly replayTimeoutMillis?: number;
  /**
   * How fast the spool is emptied once the hot tier is back, in spans per second; default 10,000, more than
   * 0. Not applied during shutdown.
   */
  readonly replaySpansPerSecond?: number;
  /**
   * A replayed batch that has failed this often while others were taken is dropped as `poison`; default 10, at least
   * 2. Tried again after 1, 2, 4 … 60 s, so a verdict takes about 5 minutes. An outage never counts.
   */
  readonly poisonAttempts?: number;
  /** Where the gauges `spoolUtilization` and `spoolSize` are published. */
  readonly signals?: PipelineSignals;
  readonly clock?: Clock;
}

const OWNER = 'TieredSpanExporter';
const SCHEMA = {
  hot: anyExporter(),
  spool: anySpool(() => new MemorySpool()),
  hotTimeoutMillis: millis({ default: 5_000, min: 1 }),
  probeIntervalMillis: millis({ default: 500, min: 10 }),
  replayTimeoutMillis: millis({ default: 10_000, min: 1 }),
  replaySpansPerSecond: number({ default: 10_000, min: 0.001 }),
  poisonAttempts: integer({ default: 10, min: 2 }),
  signals: optional(pipelineSignals),
  clock: optional(aClock),
};

/** @throws ConfigurationError naming the option, what was expected and what came. */
export function readTieredOptions(options: unknown): OptionsOf<typeof SCHEMA> {
  const read = readOptions(OWNER, options, SCHEMA);
  if (read.replayTimeoutMillis < read.probeIntervalMillis) {
    const expected = `at least probeIntervalMillis (${read.probeIntervalMillis})`;
    throw new ConfigurationError(`${OWNER}.replayTimeoutMillis`, expected, read.replayTimeoutMillis);
  }
  return read;
}
