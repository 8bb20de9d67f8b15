import { warnSoon } from '@otel-resilience/core';
import type { EnvironmentSettings } from './environment.js';
import type { ResilienceOptions } from './resilience-options.js';

type FromEnvironment = EnvironmentSettings['processor'];
type FromCode = NonNullable<ResilienceOptions['processor']>;

const DEFAULT_QUEUE_SIZE = { default: 10_000, production: 50_000 };

/**
 * The processor's options, code first. A value of the environment that does not go with the others is logged and left
 * out, as a wrong one is: a typing error in a deployment must not stop the application.
 */
export function processorOptions(environment: FromEnvironment, code: FromCode = {}): FromCode {
  const { maxQueueSize, maxExportBatchSize, scheduledDelayMillis, ...rest } = environment;
  const queueSize = fitting('OTEL_BSP_MAX_QUEUE_SIZE', maxQueueSize, { atLeast: code.maxExportBatchSize });
  const room = code.maxQueueSize ?? queueSize ?? DEFAULT_QUEUE_SIZE[code.profile ?? 'default'];
  const batchSize = { atLeast: code.minExportBatchSize, atMost: room };
  const delay = { atLeast: code.minScheduledDelayMillis };
  return {
    ...rest,
    maxQueueSize: queueSize,
    maxExportBatchSize: fitting('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', maxExportBatchSize, batchSize),
    scheduledDelayMillis: fitting('OTEL_BSP_SCHEDULE_DELAY', scheduledDelayMillis, delay),
    ...code,
  };
}

function fitting(
  variable: string,
  value: number | undefined,
  { atLeast = 0, atMost = Number.POSITIVE_INFINITY }: { atLeast?: number; atMost?: number },
): number | undefined {
  if (value === undefined || (value >= atLeast && value <= atMost)) return value;
  const bound = value < atLeast ? `at least ${atLeast}` : `at most ${atMost}`;
  warnSoon(`${variable}: expected ${bound}, by the other options, got ${value}; ignored`);
  return undefined;
}
