/** Whether a missing package has silently turned one of our types, or one of the SDK's, into `any`. */
import type { Resource } from '@opentelemetry/resources';
import type { NodeSDK, NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import type * as core from '@otel-resilience/core';
import type * as degradation from '@otel-resilience/degradation';
import type * as exporter from '@otel-resilience/exporter';
import type * as node from '@otel-resilience/node';
import type * as otlp from '@otel-resilience/otlp';
import type * as processor from '@otel-resilience/processor';
import type * as sampler from '@otel-resilience/sampler';
import type * as tiered from '@otel-resilience/tiered';
import type * as sdk from './sdk.js';

type IfAny<T, Yes, No> = 0 extends 1 & T ? Yes : No;
type Primitive = string | number | boolean | bigint | symbol | null | undefined;
type BuiltIn = AbortSignal | Uint8Array | Error | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>;
type Deeper<Depth extends unknown[]> = [...Depth, unknown];

/** Every path below `T` that is `any`, through properties, parameters and results, five steps deep. */
type AnyPaths<T, Path extends string, Depth extends unknown[] = []> = IfAny<
  T,
  Path,
  Depth['length'] extends 5
    ? never
    : T extends Primitive | BuiltIn
      ? never
      : T extends abstract new (
            ...args: infer Args
          ) => infer Instance
        ? AnyPaths<Args[number], `new ${Path}(…)`, Deeper<Depth>> | AnyPaths<Instance, `new ${Path}`, Deeper<Depth>>
        : T extends (...args: infer Args) => infer Result
          ? AnyPaths<Args[number], `${Path}(…)`, Deeper<Depth>> | AnyPaths<Result, `${Path}()`, Deeper<Depth>>
          : T extends readonly (infer Element)[]
            ? AnyPaths<Element, `${Path}[]`, Deeper<Depth>>
            : T extends Promise<infer Value>
              ? AnyPaths<Value, `await ${Path}`, Deeper<Depth>>
              : { [K in keyof T & string]: AnyPaths<T[K], `${Path}.${K}`, Deeper<Depth>> }[keyof T & string]
>;
type None<Paths extends never> = Paths;

export type Ours = None<
  | AnyPaths<typeof node.resilience, 'resilience'>
  | AnyPaths<node.ResilienceStatus, 'ResilienceStatus'>
  | AnyPaths<typeof node.ConfigurationError, 'ConfigurationError'>
  | AnyPaths<typeof processor.AdaptiveBatchSpanProcessor, 'AdaptiveBatchSpanProcessor'>
  | AnyPaths<typeof processor.AttributeTrimmingSpanProcessor, 'AttributeTrimmingSpanProcessor'>
  | AnyPaths<typeof sampler.DegradationSampler, 'DegradationSampler'>
  | AnyPaths<typeof sampler.TailSamplingSpanProcessor, 'TailSamplingSpanProcessor'>
  | AnyPaths<sampler.Sampler, 'Sampler'>
  | AnyPaths<sampler.ComposableSampler, 'ComposableSampler'>
  | AnyPaths<typeof degradation.DegradationController, 'DegradationController'>
  | AnyPaths<degradation.Trigger, 'Trigger'>
  | AnyPaths<typeof degradation.CpuTrigger, 'CpuTrigger'>
  | AnyPaths<typeof degradation.MemoryTrigger, 'MemoryTrigger'>
  | AnyPaths<typeof degradation.HeapTrigger, 'HeapTrigger'>
  | AnyPaths<typeof degradation.EventLoopTrigger, 'EventLoopTrigger'>
  | AnyPaths<typeof degradation.PressureTrigger, 'PressureTrigger'>
  | AnyPaths<typeof degradation.LatencyTrigger, 'LatencyTrigger'>
  | AnyPaths<typeof degradation.ErrorRateTrigger, 'ErrorRateTrigger'>
  | AnyPaths<typeof degradation.TimeoutRateTrigger, 'TimeoutRateTrigger'>
  | AnyPaths<typeof degradation.QueueTrigger, 'QueueTrigger'>
  | AnyPaths<typeof degradation.SpoolTrigger, 'SpoolTrigger'>
  | AnyPaths<typeof degradation.QuotaTrigger, 'QuotaTrigger'>
  | AnyPaths<typeof degradation.EndpointTrigger, 'EndpointTrigger'>
  | AnyPaths<typeof degradation.BudgetTrigger, 'BudgetTrigger'>
  | AnyPaths<typeof exporter.RetryingSpanExporter, 'RetryingSpanExporter'>
  | AnyPaths<typeof exporter.CircuitBreakerSpanExporter, 'CircuitBreakerSpanExporter'>
  | AnyPaths<typeof exporter.CircuitBreaker, 'CircuitBreaker'>
  | AnyPaths<typeof exporter.FailoverSpanExporter, 'FailoverSpanExporter'>
  | AnyPaths<typeof exporter.breakerChain, 'breakerChain'>
  | AnyPaths<typeof tiered.TieredSpanExporter, 'TieredSpanExporter'>
  | AnyPaths<typeof tiered.MemorySpool, 'MemorySpool'>
  | AnyPaths<typeof otlp.OtlpSpanExporter, 'OtlpSpanExporter'>
  | AnyPaths<otlp.OtlpSpanExporterOptions, 'OtlpSpanExporterOptions'>
  | AnyPaths<typeof core.SpanBatch, 'SpanBatch'>
  | AnyPaths<typeof core.SpanBatchExporterBase, 'SpanBatchExporterBase'>
  | AnyPaths<typeof core.adaptSpanExporter, 'adaptSpanExporter'>
  | AnyPaths<typeof core.classifyFailure, 'classifyFailure'>
  | AnyPaths<core.ExportOutcome, 'ExportOutcome'>
  | AnyPaths<core.ReadableSpan, 'ReadableSpan'>
  | AnyPaths<core.SpanProcessor, 'SpanProcessor'>
  | AnyPaths<core.LevelSource, 'LevelSource'>
  | AnyPaths<core.SpanExporter, 'SpanExporter'>
>;

/** What the fixtures compare ours with: were it `any`, everything would be assignable. */
export type Theirs = None<
  | IfAny<NodeSDK, 'NodeSDK', never>
  | IfAny<NodeSDKConfiguration['spanProcessors'], 'spanProcessors', never>
  | IfAny<sdk.SpanProcessor, 'SpanProcessor', never>
  | IfAny<sdk.SpanExporter, 'SpanExporter', never>
  | IfAny<sdk.Sampler, 'Sampler', never>
  | IfAny<ReturnType<sdk.Sampler['shouldSample']>, 'shouldSample()', never>
  | IfAny<NodeSDKConfiguration['sampler'], 'sampler', never>
  | IfAny<Resource, 'Resource', never>
  | IfAny<Parameters<sdk.SpanProcessor['onEnd']>[0], 'onEnd(span)', never>
  | IfAny<sdk.ReadableSpan['attributes'], 'ReadableSpan.attributes', never>
>;

// @ts-expect-error: this is how it would look
export type Found = None<AnyPaths<(options: { deep?: { any: unknown; there: Broken }[] }) => void, 'f'>>;
// biome-ignore lint/suspicious/noExplicitAny: the one thing looked for
type Broken = any;
