import { diag } from '@opentelemetry/api';
import { ConfigurationError } from '@otel-resilience/core';
import { SAMPLER_NAMES, type SamplerName } from './sampler-environment.js';

/** What the standard environment variables ask for; code comes before them, our defaults after. */
export interface EnvironmentSettings {
  /** `OTEL_SDK_DISABLED` is true, or `OTEL_TRACES_EXPORTER` is `none`. */
  readonly disabled: boolean;
  /** `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, else `OTEL_EXPORTER_OTLP_PROTOCOL`. */
  readonly protocol: OtlpProtocol | undefined;
  /** `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT`; the stock exporters read it themselves. */
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

export type OtlpProtocol = 'grpc' | 'http/protobuf';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment. A value that makes no sense is logged and ignored, since a typing error in a deployment must
 * not stop the application; with `OTEL_RESILIENCE_STRICT=true` it throws.
 */
export function readEnvironment(env: Environment = process.env): EnvironmentSettings {
  const reader = new Reader(env);
  return {
    disabled: reader.isTrue('OTEL_SDK_DISABLED') || reader.text('OTEL_TRACES_EXPORTER') === 'none',
    protocol: reader.protocol(),
    endpoint: reader.text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? reader.text('OTEL_EXPORTER_OTLP_ENDPOINT'),
    metrics:
      (reader.text('OTEL_METRICS_EXPORTER') ?? 'none') !== 'none' ||
      reader.isTrue('OTEL_NODE_EXPERIMENTAL_SDK_METRICS'),
    sampler: reader.sampler(),
    processor: dropUndefined({
      maxQueueSize: reader.integer('OTEL_BSP_MAX_QUEUE_SIZE', 1),
      maxExportBatchSize: reader.integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 1),
      scheduledDelayMillis: reader.integer('OTEL_BSP_SCHEDULE_DELAY', 0),
      exportTimeoutMillis: reader.integer('OTEL_BSP_EXPORT_TIMEOUT', 1),
    }),
  };
}

class Reader {
  private readonly env: Environment;
  private readonly strict: boolean;

  constructor(env: Environment) {
    this.env = env;
    this.strict = this.isTrue('OTEL_RESILIENCE_STRICT');
  }

  text(name: string): string | undefined {
    return this.env[name]?.trim() || undefined; // empty is the same as unset, says the specification
  }

  isTrue(name: string): boolean {
    return this.text(name)?.toLowerCase() === 'true';
  }

  integer(name: string, min: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= min) return value;
    return this.ignore(name, `an integer of at least ${min}`, text);
  }

  ratio(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (value >= 0 && value <= 1) return value;
    return this.ignore(name, 'a ratio from 0 to 1', text);
  }

  sampler(): EnvironmentSettings['sampler'] {
    const name = this.text('OTEL_TRACES_SAMPLER') as SamplerName | undefined;
    if (name === undefined) return { name, ratio: 1 };
    if (!SAMPLER_NAMES.includes(name)) {
      return { name: this.ignore('OTEL_TRACES_SAMPLER', `one of ${SAMPLER_NAMES.join(', ')}`, name), ratio: 1 };
    }
    // The argument of a sampler that takes none is none of our business.
    const ratio = name.endsWith('traceidratio') ? this.ratio('OTEL_TRACES_SAMPLER_ARG') : undefined;
    return { name, ratio: ratio ?? 1 };
  }

  protocol(): OtlpProtocol | undefined {
    const name = this.text('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL')
      ? 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'
      : 'OTEL_EXPORTER_OTLP_PROTOCOL';
    const protocol = this.text(name);
    if (protocol === undefined || protocol === 'grpc' || protocol === 'http/protobuf') return protocol;
    this.ignore(name, 'grpc or http/protobuf', protocol);
    // An HTTP receiver takes every encoding at the same address, so protobuf is what comes nearest.
    return protocol.startsWith('http/') ? 'http/protobuf' : undefined;
  }

  private ignore(name: string, expected: string, got: string): undefined {
    const error = new ConfigurationError(name, expected, got);
    if (this.strict) throw error;
    diag.warn(`otel-resilience: ${error.message}; ignored`);
  }
}

function dropUndefined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
