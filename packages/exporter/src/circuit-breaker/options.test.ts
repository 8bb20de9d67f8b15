import { ConfigurationError } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.js';
import { type CircuitBreakerOptions, readCircuitBreakerOptions } from './options.js';

const read = (options: unknown) => readCircuitBreakerOptions('CircuitBreaker', options);

describe('options of a circuit breaker', () => {
  it('has the defaults that are written down', () => {
    expect(read({})).toMatchObject({
      name: 'circuit breaker',
      preset: 'standard',
      strategy: 'default',
      failureRateThreshold: 0.5,
      minimumCalls: 10,
      window: 'time',
      windowMillis: 60_000,
      windowSize: 100,
      consecutiveFailures: 5,
      slowCallRateThreshold: 0.8,
      slowCallDurationMillis: 1_000,
      openMillis: 30_000,
      openMultiplier: 2,
      maxOpenMillis: 120_000,
      halfOpenPermits: 5,
      halfOpenSuccesses: 3,
      reopenOnFirstFailure: false,
      probeTimeoutMillis: 10_000,
      lastResortIntervalMillis: 500,
      rejectionRateThreshold: 0.1,
      rejectionWindowMillis: 60_000,
    });
  });

  it('has a patient preset, and lets options beside it win', () => {
    expect(read({ preset: 'patient', minimumCalls: 7 })).toMatchObject({
      strategy: 'failureRate',
      failureRateThreshold: 0.7,
      minimumCalls: 7,
      windowMillis: 30_000,
      openMillis: 60_000,
      maxOpenMillis: 240_000,
      halfOpenPermits: 3,
      halfOpenSuccesses: 2,
    });
  });

  it('lowers defaults that the given options put out of reach', () => {
    expect(read({ window: 'count', windowSize: 4 }).minimumCalls).toBe(4);
    expect(read({ halfOpenPermits: 1 }).halfOpenSuccesses).toBe(1);
  });

  it.each<[keyof CircuitBreakerOptions | string, unknown]>([
    ['strategy', 'rate'],
    ['preset', 'hasty'],
    ['failureRateThreshold', 0],
    ['failureRateThreshold', 50],
    ['failureRateThreshold', Number.NaN],
    ['slowCallRateThreshold', 0],
    ['minimumCalls', 0],
    ['minimumCalls', 2.5],
    ['window', 'sliding'],
    ['windowMillis', 0],
    ['windowMillis', Number.POSITIVE_INFINITY],
    ['windowSize', 0],
    ['windowSize', 1e9],
    ['consecutiveFailures', -1],
    ['slowCallDurationMillis', -1],
    ['openMillis', 0],
    ['openMillis', '30s'],
    ['openMultiplier', 0.5],
    ['halfOpenPermits', 0],
    ['halfOpenSuccesses', 0],
    ['reopenOnFirstFailure', 1],
    ['probeTimeoutMillis', 0],
    ['lastResortIntervalMillis', -1],
    ['rejectionRateThreshold', 1.1],
    ['rejectionWindowMillis', 0],
    ['name', ''],
    ['clock', 5],
    ['failureRateTreshold', 0.5],
  ])('refuses %s: %s, and names it', (option, value) => {
    const make = () => new CircuitBreaker({ [option]: value });
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(new RegExp(`^CircuitBreaker\\.${option}: expected .+, got `));
  });

  it.each<[string, CircuitBreakerOptions, string]>([
    ['more calls needed than the window holds', { window: 'count', windowSize: 9, minimumCalls: 10 }, 'minimumCalls'],
    ['more successes than probes', { halfOpenPermits: 2, halfOpenSuccesses: 3 }, 'halfOpenSuccesses'],
    ['a cap below the first open time', { openMillis: 1_000, maxOpenMillis: 999 }, 'maxOpenMillis'],
  ])('refuses %s', (_, options, option) => {
    expect(() => new CircuitBreaker(options)).toThrow(new RegExp(`^CircuitBreaker\\.${option}: expected at `));
  });

  it('is not changed by what happens to the options object later', () => {
    const options = { consecutiveFailures: 2 };
    const breaker = new CircuitBreaker(options);
    options.consecutiveFailures = 100;
    for (let i = 0; i < 2; i++) breaker.tryAcquire()?.failure();
    expect(breaker.state).toBe('open');
  });
});
