import {
  aClock,
  anyExporter,
  boolean,
  type Clock,
  ConfigurationError,
  list,
  number,
  type OptionReader,
  optional,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
  shape,
  text,
} from '@otel-resilience/core';
import type {
  CircuitBreakerSpanExporterOptions,
  FailoverSpanExporterOptions,
  RetryingSpanExporterOptions,
} from '@otel-resilience/exporter';
import { checkEndpointUrl } from '@otel-resilience/otlp';
import type {
  AdaptiveBatchSpanProcessorOptions,
  AttributeTrimmingSpanProcessorOptions,
} from '@otel-resilience/processor';
import type { DegradationSamplerOptions, TailSamplingSpanProcessorOptions } from '@otel-resilience/sampler';
import type { MemorySpoolOptions, SpoolOptions, TieredSpanExporterOptions } from '@otel-resilience/tiered';
import type { DegradationOptions } from './degradation.js';
import {
  checkForStock,
  ENDPOINT_OPTIONS,
  type EndpointOptions,
  type OtlpEndpoint,
  readTransport,
  type Transport,
} from './otlp-endpoint.js';

type Section<T, Provided extends string> = Omit<T, Provided | 'clock' | 'random' | 'signals' | 'metrics'>;

/** An exporter that you have already, as one of the endpoints. */
export interface NamedExporter {
  /** Shown in status. Default: `exporter-<place in the list>`. */
  readonly name?: string;
  readonly exporter: SpanExporter | SpanBatchExporter;
  /** Lower is preferred. Default: the place in the list. */
  readonly priority?: number;
  /** For `strategy: 'weighted'`. Default 1. */
  readonly weight?: number;
}

/**
 * Options of {@link resilience}. A wrong one throws a `ConfigurationError` that names its path.
 * Precedence: these options, then the standard `OTEL_*` variables, then our defaults.
 */
export interface ResilienceOptions {
  /**
   * Collectors, the preferred one first. Default: the one that `OTEL_EXPORTER_OTLP_(TRACES_)ENDPOINT` names, or
   * `http://localhost:4317`.
   */
  readonly endpoints?: readonly (string | OtlpEndpoint)[];
  /**
   * Who speaks with them. `otlp`: our own transport, which takes encoded spans, and per endpoint all options of the
   * `OtlpSpanExporter`. `stock`: the exporters of OpenTelemetry JS (`@opentelemetry/exporter-trace-otlp-grpc` or
   * `-proto`, of which NodeSDK brings both). Default `stock`.
   */
  readonly transport?: Transport;
  /** Exporters to use instead of `endpoints`; any `SpanExporter` or one of ours. */
  readonly exporters?: readonly (SpanExporter | SpanBatchExporter | NamedExporter)[];
  /** Options of the `AdaptiveBatchSpanProcessor`. */
  readonly processor?: Section<AdaptiveBatchSpanProcessorOptions, 'exporter' | 'controller'>;
  /**
   * Options of the `DegradationController`, and which triggers it has. `{ enabled: false }`: always normal;
   * `{ monitorOnly: true }`: watch, and change nothing.
   */
  readonly degradation?: DegradationOptions;
  /** Options of the `DegradationSampler`. Default: what `OTEL_TRACES_SAMPLER` asks for. */
  readonly sampler?: Section<DegradationSamplerOptions, 'controller'>;
  /** Options of the `TailSamplingSpanProcessor`, which keeps errors and slow requests. */
  readonly tailSampling?: Section<TailSamplingSpanProcessorOptions, 'next' | 'controller'>;
  /** Options of the `AttributeTrimmingSpanProcessor`. */
  readonly attributeTrimming?: Section<AttributeTrimmingSpanProcessorOptions, 'next' | 'controller'>;
  /** Options of the `RetryingSpanExporter` around all endpoints. */
  readonly retry?: Section<RetryingSpanExporterOptions, 'exporter'>;
  /** Options of each endpoint's circuit breaker. */
  readonly circuitBreaker?: Section<CircuitBreakerSpanExporterOptions, 'exporter'>;
  /** Options of the `FailoverSpanExporter`. */
  readonly failover?: Section<FailoverSpanExporterOptions, 'endpoints'>;
  /** Options of the `TieredSpanExporter`: replay of what waits in the spool, archives, and which spans go where. */
  readonly tiered?: Section<TieredSpanExporterOptions, 'hot' | 'spool' | 'controller'>;
  /**
   * Where spans wait while no endpoint takes them: memory, 64 MiB by default. With a `directory` it is a disk, 1 GiB by
   * default: what waits there survives the process, and is sent by the next one with that directory.
   */
  readonly spool?: Section<MemorySpoolOptions, never> | Section<SpoolOptions, 'fileSystem'>;
  /**
   * Whether to publish metrics of our own through the global meter provider. Default: if `OTEL_METRICS_EXPORTER` names
   * an exporter or `OTEL_NODE_EXPERIMENTAL_SDK_METRICS` is true; otherwise they could be the first ones in the process,
   * and make NodeSDK's dormant metric export try to reach a collector.
   */
  readonly metrics?: boolean;
  readonly clock?: Clock;
}

export interface EndpointSettings {
  readonly name?: string;
  readonly priority: number | undefined;
  readonly weight: number | undefined;
  readonly source:
    | { readonly kind: 'otlp'; readonly endpoint: EndpointOptions }
    | { readonly kind: 'exporter'; readonly exporter: SpanExporter | SpanBatchExporter };
}

export function readResilienceOptions(options: ResilienceOptions) {
  const transport = readTransport(options?.transport, 'resilience.transport');
  const read = readOptions('resilience', options, {
    endpoints: optional(readEndpoints(transport)),
    transport: readTransport,
    exporters: optional(list(readExporter, { min: 1 })),
    processor: optional(section<'processor'>('exporter', 'controller')),
    degradation: optional(section<'degradation'>()),
    sampler: optional(section<'sampler'>('controller')),
    tailSampling: optional(section<'tailSampling'>('next', 'controller')),
    attributeTrimming: optional(section<'attributeTrimming'>('next', 'controller')),
    retry: optional(section<'retry'>('exporter')),
    circuitBreaker: optional(section<'circuitBreaker'>('exporter')),
    failover: optional(section<'failover'>('endpoints')),
    tiered: optional(section<'tiered'>('hot', 'spool', 'controller')),
    spool: optional(section<'spool'>('fileSystem')),
    metrics: optional(boolean({ default: false })),
    clock: optional(aClock),
  });
  if (read.endpoints && read.exporters) {
    throw new ConfigurationError('resilience.exporters', 'either endpoints or exporters', 'both');
  }
  const fromEnvironment: EndpointSettings = {
    priority: undefined,
    weight: undefined,
    source: { kind: 'otlp', endpoint: {} },
  };
  return { ...read, endpoints: read.exporters ?? read.endpoints ?? [fromEnvironment] };
}

/** The options of a part; its own constructor checks them. What `resilience()` itself provides is refused here. */
function section<K extends keyof ResilienceOptions>(
  ...provided: string[]
): OptionReader<NonNullable<ResilienceOptions[K]>> {
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const instead = INSTEAD[path.slice('resilience.'.length)];
      throw new ConfigurationError(path, `an options object${instead ? `, such as ${instead}` : ''}`, value);
    }
    if ('shouldSample' in value)
      throw new ConfigurationError(path, 'options: a sampler goes in as { delegate }', value);
    for (const key of [...provided, 'clock', 'random', 'signals', 'metrics']) {
      if (key in value)
        throw new ConfigurationError(`${path}.${key}`, 'nothing: resilience() provides it', value[key as never]);
    }
    return { ...value } as NonNullable<ResilienceOptions[K]>;
  };
}

/** Of sections of which another kind of value is often expected to do: what does. */
const INSTEAD: Readonly<Record<string, string>> = {
  degradation: '{ enabled: false }',
  spool: '{ directory }',
};

function readEndpoints(transport: Transport): OptionReader<readonly EndpointSettings[]> {
  return (value, path) => {
    // A single URL, by mistake, may have credentials in it: not shown.
    if (typeof value === 'string') throw new ConfigurationError(path, 'a list: [url, …]', 'a string');
    const endpoints = list(readEndpoint(transport), { min: 1 })(value, path);
    const taken = new Map<string, number>();
    return endpoints.map(({ name, host, ...endpoint }) => {
      if (name !== undefined) return { ...endpoint, name };
      const number = (taken.get(host) ?? 0) + 1;
      taken.set(host, number);
      return { ...endpoint, name: number === 1 ? host : `${host} (${number})` };
    });
  };
}

function readEndpoint(transport: Transport): OptionReader<EndpointSettings & { readonly host: string }> {
  return (value, path) => {
    if (value === undefined) throw new ConfigurationError(path, 'a URL, or options with a url', value);
    const given = typeof value === 'string' ? { url: value } : value;
    const { name, priority, weight, ...endpoint } = shape(ENDPOINT)(given, path);
    if (transport === 'stock') checkForStock(given as object, path);
    const { url } = endpoint;
    const host = new URL(url).host || url;
    return { name, host, priority, weight, source: { kind: 'otlp', endpoint } };
  };
}

function readExporter(value: unknown, path: string): EndpointSettings {
  // Exporters may have a member named `exporter` too: ours that wrap one do.
  const named = isNamed(value) ? shape(EXPORTER)(value, path) : { ...NOT_NAMED, exporter: anyExporter()(value, path) };
  const { exporter, ...rest } = named;
  return { ...rest, source: { kind: 'exporter', exporter } };
}

function isNamed(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'exporter' in value && !('shutdown' in value);
}

const COMMON = {
  name: optional(text()),
  priority: optional(number({ default: 0 })),
  weight: optional(number({ default: 1, min: 0 })),
};
const EXPORTER = { ...COMMON, exporter: anyExporter() };
const NOT_NAMED = { name: undefined, priority: undefined, weight: undefined };
const ENDPOINT = { ...COMMON, ...ENDPOINT_OPTIONS, url: checkEndpointUrl };
