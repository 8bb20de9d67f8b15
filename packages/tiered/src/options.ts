import {
  aClock,
  anyExporter,
  type Clock,
  ConfigurationError,
  integer,
  type LevelSource,
  levelSource,
  list,
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
import { type ArchiveTierOptions, anArchiveTier } from './archive-tier/archive-tier-options.js';
import type { ObjectStore } from './object-store/object-store.js';
import { aRoutingRule, checkRules, type RoutingRule } from './routing/routing-rules.js';
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
  /**
   * An archive. Without rules it has everything that hot has: a mirror with books of its own, whose trouble is none of
   * hot's. A store, to which objects are written, an exporter, or {@link ArchiveTierOptions}.
   */
  readonly warm?: ObjectStore | SpanExporter | SpanBatchExporter | ArchiveTierOptions;
  /** Another one, for what rules send there directly. A `Lifecycle` moves what has become old. */
  readonly cold?: ObjectStore | SpanExporter | SpanBatchExporter | ArchiveTierOptions;
  /**
   * Which spans go where; the first rule that fits decides. Default, and for spans that none fits: `hot`, and `warm`
   * where there is one. They are asked again of what is taken out of the spool.
   */
  readonly rules?: readonly RoutingRule[];
  /** For rules with `fromLevel`: anything with a `level`. */
  readonly controller?: LevelSource;
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
  warm: optional(anArchiveTier),
  cold: optional(anArchiveTier),
  rules: optional(list(aRoutingRule)),
  controller: optional(levelSource),
  clock: optional(aClock),
};

/** @throws ConfigurationError naming the option, what was expected and what came. */
export function readTieredOptions(options: unknown): OptionsOf<typeof SCHEMA> {
  const read = readOptions(OWNER, options, SCHEMA);
  if (read.replayTimeoutMillis < read.probeIntervalMillis) {
    const expected = `at least probeIntervalMillis (${read.probeIntervalMillis})`;
    throw new ConfigurationError(`${OWNER}.replayTimeoutMillis`, expected, read.replayTimeoutMillis);
  }
  const { warm, cold, controller, rules = [] } = read;
  checkSpools({ spool: read.spool, 'warm.spool': warm?.spool, 'cold.spool': cold?.spool });
  checkRules(
    rules,
    { warm: warm !== undefined, cold: cold !== undefined, controller: controller !== undefined },
    OWNER,
  );
  return read;
}

/** Spans wait in a spool for one tier. */
function checkSpools(spools: Readonly<Record<string, SpanSpool | undefined>>): void {
  const seen = new Set<SpanSpool>();
  for (const [path, spool] of Object.entries(spools)) {
    if (!spool) continue;
    if (seen.has(spool)) throw new ConfigurationError(`${OWNER}.${path}`, 'a spool of its own', spool);
    seen.add(spool);
  }
}
