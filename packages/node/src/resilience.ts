import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import {
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  installSpanCodec,
  type LedgerSnapshot,
  type PipelineGauges,
  PipelineSignals,
  type ReadableSpan,
  type SpanProcessor,
  systemClock,
} from '@otel-resilience/core';
import {
  CircuitBreakerSpanExporter,
  type EndpointStatus,
  FailoverSpanExporter,
  RetryingSpanExporter,
} from '@otel-resilience/exporter';
import { AdaptiveBatchSpanProcessor, type ProcessorStats } from '@otel-resilience/processor';
import { MemorySpool, TieredSpanExporter, type TieredSpanExporterStats } from '@otel-resilience/tiered';
import { type EnvironmentSettings, readEnvironment } from './environment.js';
import { otlpExporter } from './otlp-endpoint.js';
import { processorOptions } from './processor-options.js';
import { type EndpointSettings, type ResilienceOptions, readResilienceOptions } from './resilience-options.js';

export interface Resilience {
  /** For `new NodeSDK({ ...r.sdk })`. `sdk.shutdown()` alone is enough to stop everything. */
  readonly sdk: { readonly spanProcessors: SpanProcessor[] };
  status(): ResilienceStatus;
  /**
   * Resolves when every span that has ended is acknowledged; rejects when some could not be exported, or after
   * `timeoutMillis` (default 30,000). For a function that is frozen between calls.
   */
  forceFlush(options?: { timeoutMillis?: number }): Promise<void>;
  /** Exports what it can, within 10 s; for applications without a NodeSDK. Never rejects. */
  shutdown(): Promise<void>;
}

export interface ResilienceStatus {
  /** By `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`: there is no processor then. */
  readonly disabled: boolean;
  /** Whether every span is accounted for: both ledgers add up, and the spool has all that was handed to it. */
  readonly balanced: boolean;
  /** Both ledgers together. */
  readonly totals: SpanTotals;
  /**
   * Spans an endpoint acknowledged after their attempt had been given up and they had gone elsewhere: known duplicates,
   * counted beside the totals.
   */
  readonly lateAcknowledged: number;
  readonly processor: ProcessorStats;
  readonly tiered: TieredSpanExporterStats;
  readonly endpoints: readonly EndpointStatus[];
  readonly signals: Partial<PipelineGauges>;
}

export interface SpanTotals {
  readonly ended: number;
  /** Acknowledged, live or replayed. */
  readonly delivered: number;
  readonly rejected: number;
  /** In the queue, on the way, or in the spool. */
  readonly waiting: number;
  readonly unsampled: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/**
 * Everything between a NodeSDK and its collectors, in one call:
 *
 *     processor ─ Tiered ─ Retry ─ Failover ─┬─ CircuitBreaker ─ collector A
 *                   └─ spool (memory)        └─ CircuitBreaker ─ collector B
 *
 * Nothing starts before the first span ends. Throws a `ConfigurationError` for a wrong option.
 */
export function resilience(options: ResilienceOptions = {}): Resilience {
  const { endpoints, ...sections } = readResilienceOptions(options);
  const environment = readEnvironment();
  const { clock, metrics = environment.metrics } = sections;
  const signals = new PipelineSignals();
  installSpanCodec({ encode: encodeWithStockSerializer });

  const failover = new FailoverSpanExporter({
    ...sections.failover,
    endpoints: endpoints.map((endpoint, index) =>
      guarded(endpoint, index, sections.circuitBreaker, environment, clock),
    ),
    signals,
    metrics,
    clock,
  });
  const hot = new RetryingSpanExporter({ ...sections.retry, exporter: failover, clock });
  signals.publish('throttledExports', () => hot.stats().throttled);
  const spool = new MemorySpool({ ...sections.spool });
  const tiered = new TieredSpanExporter({
    probeIntervalMillis: PROBE_INTERVAL_MILLIS,
    ...sections.tiered,
    hot,
    spool,
    signals,
    clock,
  });
  const processor = new AdaptiveBatchSpanProcessor({
    ...processorOptions(environment.processor, sections.processor),
    exporter: tiered,
    signals,
    metrics,
    clock,
  });

  return {
    sdk: { spanProcessors: environment.disabled ? [] : [processor] },
    forceFlush: ({ timeoutMillis = DEFAULT_FLUSH_TIMEOUT_MILLIS } = {}) =>
      processor.forceFlush({ deadline: (clock ?? systemClock).now() + timeoutMillis }),
    shutdown: () => processor.shutdown(),
    status() {
      const processorStats = processor.stats();
      const tieredStats = tiered.stats();
      const endpointStatus = failover.endpoints();
      return {
        disabled: environment.disabled,
        balanced: isBalanced(processorStats.ledger, tieredStats),
        totals: totalsOf(processorStats.ledger, tieredStats),
        lateAcknowledged: endpointStatus.reduce((sum, { counts }) => sum + counts.lateAcknowledgedSpans, 0),
        processor: processorStats,
        tiered: tieredStats,
        endpoints: endpointStatus,
        signals: signals.snapshot(),
      };
    },
  };
}

// An open breaker admits one probe per 500 ms; asking twice as often, none of them comes late.
const PROBE_INTERVAL_MILLIS = 250;

function guarded(
  settings: EndpointSettings,
  index: number,
  circuitBreaker: ResilienceOptions['circuitBreaker'],
  environment: EnvironmentSettings,
  clock: ResilienceOptions['clock'],
) {
  const { name = nameOf(settings, index, environment), priority = index, weight, source } = settings;
  const leaf = source.kind === 'otlp' ? otlpExporter(source.endpoint, environment, clock) : source.exporter;
  const exporter = new CircuitBreakerSpanExporter({ ...circuitBreaker, exporter: leaf, clock });
  return { name, exporter, priority, ...(weight !== undefined && { weight }) };
}

/** Endpoints given in code have a name by now. */
function nameOf({ source }: EndpointSettings, index: number, { endpoint }: EnvironmentSettings): string {
  if (source.kind === 'exporter') return `exporter-${index}`;
  return endpoint && URL.canParse(endpoint) ? new URL(endpoint).host : 'OTLP default';
}

function encodeWithStockSerializer(spans: readonly ReadableSpan[]): Uint8Array[] {
  const bytes = ProtobufTraceSerializer.serializeRequest(spans as never);
  if (!bytes) throw new Error('the stock serializer returned nothing');
  return [bytes];
}

function isBalanced(ledger: LedgerSnapshot, { spool }: TieredSpanExporterStats): boolean {
  return ledger.balanced && spool.balanced && ledger.handedToSpool <= spool.accepted;
}

function totalsOf(ledger: LedgerSnapshot, { spool }: TieredSpanExporterStats): SpanTotals {
  const dropped: Record<string, number> = { ...ledger.dropped };
  // `spool_full` may be in both: refused by the spool, and evicted from it.
  for (const [reason, spans] of Object.entries(spool.dropped)) {
    dropped[`spool_${reason}`] = (dropped[`spool_${reason}`] ?? 0) + spans;
  }
  return {
    ended: ledger.ended,
    delivered: ledger.delivered + spool.delivered,
    rejected: ledger.rejected + spool.rejected,
    // Between a spool's taking a batch and its outcome, both ledgers have it.
    waiting: ledger.held + ledger.queued + ledger.inFlight + spool.waiting - (spool.accepted - ledger.handedToSpool),
    unsampled: ledger.unsampled,
    dropped,
  };
}
