import { type Environment, EnvironmentReader } from '@otel-resilience/core';
import { OtlpEnvironment, type OtlpProtocol } from '@otel-resilience/otlp';
import { SAMPLER_NAMES, type SamplerName } from './sampler-environment.js';

/** What the standard environment variables ask for; code comes before them, our defaults after. */
export interface EnvironmentSettings {
  /** `OTEL_SDK_DISABLED` is true, or `OTEL_TRACES_EXPORTER` is `none`. */
  readonly disabled: boolean;
  /** `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, else `OTEL_EXPORTER_OTLP_PROTOCOL`. */
  readonly protocol: OtlpProtocol | undefined;
  /** `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT`; exporters read it themselves. */
  readonly endpoint: string | undefined;
  /** Whether metrics are wanted: `OTEL_METRICS_EXPORTER` names an exporter, or the SDK's own metrics are switched on. */
  readonly metrics: boolean;
  /** `OTEL_TRACES_SAMPLER` and its argument, a ratio; 1 by default, as the specification has it. */
  readonly sampler: { readonly name: SamplerName | undefined; readonly ratio: number };
  /** `OTEL_BSP_*`, under the names of the processor's options. */
  readonly processor: {
    readonly maxQueueSize?: number;
    readonly maxExportBatchSize?: number;
    readonly scheduledDelayMillis?: number;
    readonly exportTimeoutMillis?: number;
  };
}

/** Reads the environment; of wrong values {@link EnvironmentReader} says what becomes. */
export function readEnvironment(env: Environment = process.env): EnvironmentSettings {
  const reader = new EnvironmentReader(env);
  const { protocol, endpoint } = new OtlpEnvironment(env);
  return {
    disabled: reader.isTrue('OTEL_SDK_DISABLED') || reader.text('OTEL_TRACES_EXPORTER') === 'none',
    protocol,
    endpoint,
    metrics:
      (reader.text('OTEL_METRICS_EXPORTER') ?? 'none') !== 'none' ||
      reader.isTrue('OTEL_NODE_EXPERIMENTAL_SDK_METRICS'),
    sampler: readSampler(reader),
    processor: dropUndefined({
      maxQueueSize: reader.integer('OTEL_BSP_MAX_QUEUE_SIZE', 1),
      maxExportBatchSize: reader.integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 1),
      scheduledDelayMillis: reader.integer('OTEL_BSP_SCHEDULE_DELAY', 0),
      exportTimeoutMillis: reader.integer('OTEL_BSP_EXPORT_TIMEOUT', 1),
    }),
  };
}

function readSampler(reader: EnvironmentReader): EnvironmentSettings['sampler'] {
  const name = reader.oneOf('OTEL_TRACES_SAMPLER', SAMPLER_NAMES);
  // The argument of a sampler that takes none is none of our business.
  const ratio = name?.endsWith('traceidratio') ? reader.ratio('OTEL_TRACES_SAMPLER_ARG') : undefined;
  return { name, ratio: ratio ?? 1 };
}

function dropUndefined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
