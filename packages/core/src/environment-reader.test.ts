import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { afterEach, expect, it } from 'vitest';
import { sleep, systemClock } from './clock.js';
import { EnvironmentReader } from './environment-reader.js';

afterEach(() => diag.disable());

it('says what is wrong to a logger that is set after the environment was read, as NodeSDK does', async () => {
  const warnings: string[] = [];
  expect(new EnvironmentReader({ OTEL_BSP_MAX_QUEUE_SIZE: 'many' }).integer('OTEL_BSP_MAX_QUEUE_SIZE', 1)).toBe(
    undefined,
  );
  const logger = { warn: (line: string) => warnings.push(line) } as unknown as DiagLogger;
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  await sleep(systemClock, 1);
  expect(warnings).toEqual([
    "otel-resilience: OTEL_BSP_MAX_QUEUE_SIZE: expected an integer of at least 1, got 'many'; ignored",
  ]);
});
