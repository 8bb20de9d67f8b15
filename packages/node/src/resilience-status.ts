import type { LedgerSnapshot, PipelineGauges, PipelineSignals } from '@otel-resilience/core';
import type { ControllerStatus, DegradationController } from '@otel-resilience/degradation';
import type { EndpointStatus, FailoverSpanExporter } from '@otel-resilience/exporter';
import type { OtlpProtocol } from '@otel-resilience/otlp';
import type {
  AdaptiveBatchSpanProcessor,
  AttributeTrimmingSpanProcessor,
  AttributeTrimmingStats,
  ProcessorStats,
} from '@otel-resilience/processor';
import type {
  DegradationSampler,
  SamplerStats,
  TailSamplingSpanProcessor,
  TailSamplingStats,
} from '@otel-resilience/sampler';
import type {
  LedgerCheckpoint,
  LostToCrash,
  MemorySpool,
  Spool,
  SpoolStatus,
  TieredSpanExporter,
  TieredSpanExporterStats,
} from '@otel-resilience/tiered';
import type { Leaf, Transport } from './otlp-endpoint.js';

export interface ResilienceStatus {
  /** By `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`: there is no processor then. */
  readonly disabled: boolean;
  /** Whether every span is accounted for: both ledgers add up, and the spool has all that was handed to it. */
  readonly balanced: boolean;
  /** Both ledgers together: `ended + recovered` is the sum of what follows. */
  readonly totals: SpanTotals;
  /**
   * Spans an endpoint acknowledged after their attempt had been given up and they had gone elsewhere: known duplicates,
   * counted beside the totals.
   */
  readonly lateAcknowledged: number;
  /** The level, why it is what it is, and what every trigger says. */
  readonly degradation: ControllerStatus;
  readonly sampling: SamplerStats;
  readonly tailSampling: TailSamplingStats;
  readonly attributeTrimming: AttributeTrimmingStats;
  readonly processor: ProcessorStats;
  readonly tiered: TieredSpanExporterStats;
  /** Of a spool on disk: whether it can be written to, what was found damaged. */
  readonly spool: SpoolStatus | undefined;
  /** What earlier processes with the same directory have lost, at most, that were killed; no part of the totals. */
  readonly lostToCrash: LostToCrash | undefined;
  readonly endpoints: readonly ResilienceEndpointStatus[];
  readonly signals: Partial<PipelineGauges>;
}

/** What failover knows of an endpoint, and how it is reached; an exporter that was given does not say. */
export interface ResilienceEndpointStatus extends EndpointStatus {
  readonly transport: Transport | undefined;
  readonly protocol: OtlpProtocol | undefined;
  /** Without a query, which may hold a key. */
  readonly url: string | undefined;
}

export interface SpanTotals {
  readonly ended: number;
  /** Left in a spool on disk by an earlier process: they are in the counts below as well. */
  readonly recovered: number;
  /** Acknowledged, live or replayed. */
  readonly delivered: number;
  readonly rejected: number;
  /** Handed to an archive that has them alone: `tiered.warm` and `tiered.cold` say what became of them. */
  readonly archived: number;
  /** Held by tail sampling, in the queue, on the way, or in the spool. */
  readonly waiting: number;
  readonly unsampled: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/** The parts that have something to say. */
interface Parts {
  readonly disabled: boolean;
  readonly controller: DegradationController;
  readonly sampler: DegradationSampler;
  readonly tail: TailSamplingSpanProcessor;
  readonly trimming: AttributeTrimmingSpanProcessor;
  readonly processor: AdaptiveBatchSpanProcessor;
  readonly tiered: TieredSpanExporter;
  readonly spool: MemorySpool | Spool;
  readonly checkpoint: LedgerCheckpoint | undefined;
  readonly failover: FailoverSpanExporter;
  /** In the order of the failover's endpoints. */
  readonly leaves: readonly Leaf[];
  readonly signals: PipelineSignals;
}

export function statusOf(parts: Parts): ResilienceStatus {
  const processor = parts.processor.stats();
  const tiered = parts.tiered.stats();
  const endpoints = parts.failover.endpoints().map((endpoint, index) => {
    const { transport, protocol, url } = parts.leaves[index]!;
    return { ...endpoint, transport, protocol, url };
  });
  return {
    disabled: parts.disabled,
    balanced: isBalanced(processor.ledger, tiered),
    totals: totalsOf(processor.ledger, tiered),
    lateAcknowledged: endpoints.reduce((sum, { counts }) => sum + counts.lateAcknowledgedSpans, 0),
    degradation: parts.controller.status(),
    sampling: parts.sampler.stats(),
    tailSampling: parts.tail.stats(),
    attributeTrimming: parts.trimming.stats(),
    processor,
    tiered,
    spool: 'status' in parts.spool ? parts.spool.status() : undefined,
    lostToCrash: parts.checkpoint?.lostToCrash,
    endpoints,
    signals: parts.signals.snapshot(),
  };
}

function isBalanced(ledger: LedgerSnapshot, { spool, warm, cold }: TieredSpanExporterStats): boolean {
  const books = [ledger, spool, warm?.spool, cold?.spool];
  const taken = spool.accepted + routedTo({ warm, cold });
  return books.every((each) => each?.balanced !== false) && ledger.handedToSpool <= taken;
}

function totalsOf(
  ledger: LedgerSnapshot,
  { spool, divertedSpans, lateStored, ...tiers }: TieredSpanExporterStats,
): SpanTotals {
  const dropped = withoutStored(ledger.dropped, lateStored);
  // `spool_full` may be in both: refused by the spool, and evicted from it.
  for (const [reason, spans] of Object.entries(spool.dropped)) {
    dropped[`spool_${reason}`] = (dropped[`spool_${reason}`] ?? 0) + spans;
  }
  const routed = routedTo(tiers);
  return {
    ended: ledger.ended,
    recovered: spool.recovered,
    delivered: ledger.delivered + spool.delivered - divertedSpans,
    rejected: ledger.rejected + spool.rejected,
    archived: routed + divertedSpans,
    // Between a spool's taking a batch and its outcome, both ledgers have it.
    waiting:
      ledger.held +
      ledger.queued +
      ledger.inFlight +
      spool.waiting -
      (spool.accepted + routed - lateStored - ledger.handedToSpool),
    unsampled: ledger.unsampled,
    dropped,
  };
}

/** What a spool has taken after it was given up is in the spool's books, and was dropped for one of these reasons. */
function withoutStored(dropped: Readonly<Record<string, number>>, spans: number): Record<string, number> {
  const rest: Record<string, number> = { ...dropped };
  let left = spans;
  for (const reason of ['spool_failed', 'shutdown', 'export_timeout', 'export_failed']) {
    const taken = Math.min(left, rest[reason] ?? 0);
    left -= taken;
    if (taken > 0 && rest[reason] === taken) delete rest[reason];
    else if (taken > 0) rest[reason]! -= taken;
  }
  return rest;
}

const routedTo = ({ warm, cold }: Pick<TieredSpanExporterStats, 'warm' | 'cold'>): number =>
  (warm?.routedSpans ?? 0) + (cold?.routedSpans ?? 0);
