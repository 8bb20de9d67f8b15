import { DiagLogLevel, diag } from '@opentelemetry/api';
import { ConfigurationError, systemClock } from '@otel-resilience/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readEnvironment } from './environment.js';

const warnings: string[] = [];

beforeEach(() => {
  warnings.length = 0;
  const ignore = () => {};
  const logger = {
    error: ignore,
    info: ignore,
    debug: ignore,
    verbose: ignore,
    warn: (line: string) => warnings.push(line),
  };
  // Warnings wait for the logger of NodeSDK.
  vi.spyOn(systemClock, 'setTimeout').mockImplementation((warnNow) => {
    warnNow();
    return {};
  });
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
});

afterEach(() => {
  vi.restoreAllMocks();
  diag.disable();
});

describe('readEnvironment', () => {
  it('asks for nothing when nothing is set, or set to empty', () => {
    const nothing = {
      disabled: false,
      protocol: undefined,
      endpoint: undefined,
      metrics: false,
      sampler: { name: undefined, ratio: 1 },
      processor: {},
    };
    expect(readEnvironment({})).toEqual(nothing);
    expect(readEnvironment({ OTEL_BSP_MAX_QUEUE_SIZE: ' ', OTEL_SDK_DISABLED: '' })).toEqual(nothing);
  });

  it('reads OTEL_BSP_* under the names of the options', () => {
    const { processor } = readEnvironment({
      OTEL_BSP_MAX_QUEUE_SIZE: '4096',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '128',
      OTEL_BSP_SCHEDULE_DELAY: '0',
      OTEL_BSP_EXPORT_TIMEOUT: '1500',
    });
    expect(processor).toEqual({
      maxQueueSize: 4096,
      maxExportBatchSize: 128,
      scheduledDelayMillis: 0,
      exportTimeoutMillis: 1500,
    });
  });

  it.each(['-1', 'many', '1.5', '0', 'NaN', '1e400'])(
    'ignores a queue size of %s with a warning that names it',
    (value) => {
      expect(readEnvironment({ OTEL_BSP_MAX_QUEUE_SIZE: value }).processor).toEqual({});
      expect(warnings).toEqual([
        expect.stringContaining(`OTEL_BSP_MAX_QUEUE_SIZE: expected an integer of at least 1, got '${value}'`),
      ]);
    },
  );

  it('reads the sampler and its ratio, and leaves the argument of others alone', () => {
    const sampler = (name: string, argument: string) =>
      readEnvironment({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument }).sampler;
    expect(sampler('parentbased_traceidratio', '0.25')).toEqual({ name: 'parentbased_traceidratio', ratio: 0.25 });
    expect(sampler('always_off', 'endpoint=http://x')).toEqual({ name: 'always_off', ratio: 1 });
    expect(warnings).toEqual([]);
    expect(sampler('traceidratio', '25%')).toEqual({ name: 'traceidratio', ratio: 1 });
    expect(sampler('jaeger_remote', 'endpoint=http://x')).toEqual({ name: undefined, ratio: 1 });
    expect(warnings).toEqual([
      expect.stringContaining("OTEL_TRACES_SAMPLER_ARG: expected a ratio from 0 to 1, got '25%'"),
      expect.stringContaining('OTEL_TRACES_SAMPLER: expected one of always_on'),
    ]);
  });

  it('throws instead when OTEL_RESILIENCE_STRICT is true', () => {
    const env = { OTEL_BSP_MAX_QUEUE_SIZE: 'many', OTEL_RESILIENCE_STRICT: 'true' };
    expect(() => readEnvironment(env)).toThrow(ConfigurationError);
  });

  it.each([
    [{ OTEL_SDK_DISABLED: 'true' }, true],
    [{ OTEL_SDK_DISABLED: 'TRUE' }, true],
    [{ OTEL_SDK_DISABLED: '1' }, false],
    [{ OTEL_TRACES_EXPORTER: 'none' }, true],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, false],
  ])('%j: disabled is %s', (env, disabled) => {
    expect(readEnvironment(env).disabled).toBe(disabled);
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, 'http/protobuf'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' }, 'grpc'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/protobuf'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'carrier-pigeon' }, undefined],
  ])('%j: the protocol is %s', (env, protocol) => {
    expect(readEnvironment(env).protocol).toBe(protocol);
  });

  it.each([
    [{ OTEL_METRICS_EXPORTER: 'otlp' }, true],
    [{ OTEL_METRICS_EXPORTER: 'none' }, false],
    [{ OTEL_NODE_EXPERIMENTAL_SDK_METRICS: 'true' }, true],
    [{}, false],
  ])('%j: metrics are wanted: %s', (env, metrics) => {
    expect(readEnvironment(env).metrics).toBe(metrics);
  });
});
