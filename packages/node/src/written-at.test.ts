import { ConfigurationError } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { writtenAt } from './written-at.js';

function refusal(thrown: unknown): unknown {
  try {
    writtenAt('resilience.retry', () => {
      throw thrown;
    });
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('writtenAt', () => {
  it('names the option as it was written, in path, message and stack', () => {
    const error = refusal(new ConfigurationError('RetryingSpanExporter.maxRetries', 'at most $& 3', 'x')) as Error;
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ path: 'resilience.retry.maxRetries', expected: 'at most $& 3', got: "'x'" });
    expect(error.message).toBe("resilience.retry.maxRetries: expected at most $& 3, got 'x'");
    expect(error.stack).toContain(error.message);
    expect(error.stack).not.toContain('RetryingSpanExporter.maxRetries');
  });

  it.each([
    new ConfigurationError('OTEL_EXPORTER_OTLP_HEADERS, entry 1', 'key=value', 'x'),
    new ConfigurationError('HTTPS_PROXY, HTTP_PROXY or ALL_PROXY', 'a URL', 'x'),
    new ConfigurationError('resilience.degradation.triggers', 'an options object', 'x'),
    new TypeError('RetryingSpanExporter.maxRetries'),
  ])('leaves %s as it is', (thrown) => {
    const { message } = thrown;
    expect(refusal(thrown)).toBe(thrown);
    expect(thrown.message).toBe(message);
  });
});
