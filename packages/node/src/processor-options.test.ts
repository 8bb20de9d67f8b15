import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { systemClock } from '@otel-resilience/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { processorOptions } from './processor-options.js';

const warnings: string[] = [];

beforeEach(() => {
  warnings.length = 0;
  const logger = { warn: (line: string) => warnings.push(line) } as unknown as DiagLogger;
  // Warnings wait for the logger of NodeSDK.
  vi.spyOn(systemClock, 'setTimeout').mockImplementation((warnNow) => {
    warnNow();
    return {};
  });
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
});
afterEach(() => {
  vi.restoreAllMocks();
  diag.disable();
});

describe('processorOptions', () => {
  it('prefers code to the environment', () => {
    const environment = { maxQueueSize: 4_096, maxExportBatchSize: 128, exportTimeoutMillis: 7 };
    const code = { maxQueueSize: 500 };
    expect(processorOptions(environment, code)).toMatchObject({
      maxQueueSize: 500,
      maxExportBatchSize: 128,
      exportTimeoutMillis: 7,
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    [
      { maxQueueSize: 512, maxExportBatchSize: 1_024 },
      {},
      'maxExportBatchSize',
      'OTEL_BSP_MAX_EXPORT_BATCH_SIZE: expected at most 512',
    ],
    [{ maxExportBatchSize: 20_000 }, {}, 'maxExportBatchSize', 'at most 10000'],
    [{ maxExportBatchSize: 512 }, { maxQueueSize: 500 }, 'maxExportBatchSize', 'at most 500'],
    [{ maxExportBatchSize: 10 }, { minExportBatchSize: 20 }, 'maxExportBatchSize', 'at least 20'],
    [
      { maxQueueSize: 100 },
      { maxExportBatchSize: 200 },
      'maxQueueSize',
      'OTEL_BSP_MAX_QUEUE_SIZE: expected at least 200',
    ],
    [
      { scheduledDelayMillis: 1_000 },
      { minScheduledDelayMillis: 3_000 },
      'scheduledDelayMillis',
      'OTEL_BSP_SCHEDULE_DELAY',
    ],
  ])('leaves out what does not go with the rest: %j with %j', (environment, code, option, warning) => {
    expect(processorOptions(environment, code)).toMatchObject({ ...code, [option]: undefined });
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });

  it('takes a batch of 20,000 with the queue of the production profile', () => {
    expect(processorOptions({ maxExportBatchSize: 20_000 }, { profile: 'production' }).maxExportBatchSize).toBe(20_000);
  });
});
