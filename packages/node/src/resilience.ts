import { DEFAULT_FLUSH_TIMEOUT_MILLIS, PipelineSignals, type SpanProcessor, systemClock } from '@otel-resilience/core';
import type { DegradationController } from '@otel-resilience/degradation';
import { CircuitBreakerSpanExporter, FailoverSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { AdaptiveBatchSpanProcessor, AttributeTrimmingSpanProcessor } from '@otel-resilience/processor';
import { DegradationSampler, TailSamplingSpanProcessor } from '@otel-resilience/sampler';
import { TieredSpanExporter } from '@otel-resilience/tiered';
import { createController, FollowedController } from './degradation.js';
import { type EnvironmentSettings, readEnvironment } from './environment.js';
import { type Leaf, otlpLeaf } from './otlp-endpoint.js';
import { processorOptions } from './processor-options.js';
import { type ResilienceOptions, readResilienceOptions } from './resilience-options.js';
import { type ResilienceStatus, statusOf } from './resilience-status.js';
import { samplerOptions } from './sampler-environment.js';
import { makeCheckpoint, makeSpool } from './spool.js';
import { stoppingWith } from './stopping-with.js';
import { writtenAt } from './written-at.js';

export interface Resilience {
  /** For `new NodeSDK({ ...r.sdk })`. `sdk.shutdown()` alone is enough to stop everything. */
  readonly sdk: { readonly sampler: DegradationSampler; readonly spanProcessors: SpanProcessor[] };
  /** What sets the level: `level`, `force()`, `guard()`, `isFeatureAvailable()`, `history()`, `on('transition', …)`. */
  readonly degradation: DegradationController;
  status(): ResilienceStatus;
  /**
   * Resolves when every span that has ended is acknowledged; rejects when some could not be exported, or after
   * `timeoutMillis` (default 30,000). For a function that is frozen between calls.
   */
  forceFlush(options?: { timeoutMillis?: number }): Promise<void>;
  /** Exports what it can, within 10 s; for applications without a NodeSDK. Never rejects. */
  shutdown(): Promise<void>;
}

/**
 * Everything between a NodeSDK and its collectors, in one call:
 *
 *     sampler ─ TailSampling ─ AttributeTrimming ─ AdaptiveBatch ─ Tiered ─ Retry ─ Failover ─┬─ CircuitBreaker ─ A
 *           \          |               /                             └─ spool                  └─ CircuitBreaker ─ B
 *            DegradationController
 *
 * Nothing starts before the first span, but that what an earlier process has left in a spool on disk is sent. Throws a
 * `ConfigurationError` for a wrong option.
 */
export function resilience(options: ResilienceOptions = {}): Resilience {
  const { endpoints, transport, ...sections } = readResilienceOptions(options);
  const environment = readEnvironment();
  const { clock, metrics = environment.metrics } = sections;
  const signals = new PipelineSignals();
  const common = { metrics, clock };

  const leaves = endpoints.map(({ source }, index): Leaf => {
    if (source.kind === 'exporter') return { exporter: source.exporter };
    const surroundings = { transport, environment, ...common };
    return writtenAt(`resilience.endpoints[${index}]`, () => otlpLeaf(source.endpoint, surroundings));
  });
  const guarded = endpoints.map(({ name: given, priority, weight, source }, index) => {
    const name = given ?? (source.kind === 'otlp' ? nameFrom(leaves[index]!) : `exporter-${index}`);
    const breaker = { ...(!sections.circuitBreaker?.breaker && { name }), ...sections.circuitBreaker };
    const exporter = writtenAt(
      'resilience.circuitBreaker',
      () => new CircuitBreakerSpanExporter({ ...breaker, exporter: leaves[index]!.exporter, clock }),
    );
    return { name, exporter, priority: priority ?? index, ...(weight !== undefined && { weight }) };
  });
  const failover = writtenAt(
    (rest) => (rest.startsWith('.endpoints[') ? `resilience${listed(rest, options)}` : `resilience.failover${rest}`),
    () => new FailoverSpanExporter({ ...sections.failover, endpoints: guarded, signals, ...common }),
  );
  const hot = writtenAt(
    'resilience.retry',
    () => new RetryingSpanExporter({ ...sections.retry, exporter: failover, clock }),
  );
  signals.publish('throttledExports', () => hot.stats().throttled);
  const degradation = createController(sections.degradation, { signals, ...common });
  const controller = new FollowedController(degradation);
  const spool = makeSpool(sections.spool, clock);
  const tiered = writtenAt(
    'resilience.tiered',
    () =>
      new TieredSpanExporter({
        probeIntervalMillis: PROBE_INTERVAL_MILLIS,
        ...sections.tiered,
        hot,
        spool,
        signals,
        controller,
        clock,
      }),
  );

  const processing = { ...processorOptions(environment.processor, sections.processor), exporter: tiered, signals };
  const processor = writtenAt(
    'resilience.processor',
    () => new AdaptiveBatchSpanProcessor({ ...processing, controller, ...common }),
  );
  const trimming = writtenAt(
    'resilience.attributeTrimming',
    () => new AttributeTrimmingSpanProcessor({ ...sections.attributeTrimming, next: processor, controller, ...common }),
  );
  const tail = writtenAt(
    'resilience.tailSampling',
    () => new TailSamplingSpanProcessor({ ...sections.tailSampling, next: trimming, controller, ...common }),
  );
  const sampler = writtenAt(
    'resilience.sampler',
    () => new DegradationSampler({ ...samplerSection(sections.sampler, environment), controller, ...common }),
  );

  const checkpoint = makeCheckpoint(spool, processor, tiered, clock);
  if (!environment.disabled) {
    checkpoint?.start();
    // Not with the first span: that may be long in coming.
    if (checkpoint || sections.tiered?.warm || sections.tiered?.cold) tiered.open().catch(() => {}); // logged
  }

  const first = stoppingWith(tail, () => {
    controller.stop();
    sampler.shutdown();
    checkpoint?.close();
  });
  return {
    sdk: { sampler, spanProcessors: environment.disabled ? [] : [first] },
    degradation,
    forceFlush: ({ timeoutMillis = DEFAULT_FLUSH_TIMEOUT_MILLIS } = {}) =>
      tail.forceFlush({ deadline: (clock ?? systemClock).now() + timeoutMillis }),
    shutdown: () => first.shutdown(),
    status: () =>
      statusOf({
        disabled: environment.disabled,
        controller: degradation,
        sampler,
        tail,
        trimming,
        processor,
        tiered,
        spool,
        checkpoint,
        failover,
        leaves,
        signals,
      }),
  };
}

// An open breaker admits one probe per 500 ms; asking twice as often, none of them comes late.
const PROBE_INTERVAL_MILLIS = 250;

/** Who names a ratio or a sampler in code means that one alone. */
function samplerSection(code: ResilienceOptions['sampler'] = {}, { sampler }: EnvironmentSettings) {
  if (code.ratio !== undefined || code.delegate !== undefined) return code;
  return { ...samplerOptions(sampler.name, sampler.ratio), ...code };
}

/** The path of an endpoint that the failover complains of. */
const listed = (path: string, { exporters }: ResilienceOptions): string =>
  exporters ? path.replace('endpoints', 'exporters') : path;

/** Of the one endpoint that is not given in code; those have a name by now. */
function nameFrom({ url = '' }: Leaf): string {
  return URL.canParse(url) ? new URL(url).host || url : 'OTLP default';
}
