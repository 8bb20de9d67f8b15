import type { Failure } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EndpointFailure, verdict } from './verdict.js';

const failed = (failure: Failure, retryAfterMillis?: number, message: string = failure): EndpointFailure => ({
  failure,
  error: new Error(message),
  ...(retryAfterMillis !== undefined && { retryAfterMillis }),
});

const FAILURES = ['retryable', 'throttled', 'permanent', 'refused', 'shutdown'] as const;
const anyFailures = fc.array(
  fc
    .record({
      failure: fc.constantFrom(...FAILURES),
      hint: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
    })
    .map(({ failure, hint }) => failed(failure, hint)),
  { minLength: 1, maxLength: 6 },
);

describe('the failure of a call that every endpoint failed', () => {
  it.each<[string, EndpointFailure[], Partial<EndpointFailure>]>([
    ['permanent only when all were', [failed('permanent'), failed('permanent')], { failure: 'permanent' }],
    ['retryable beside permanent', [failed('permanent'), failed('retryable')], { failure: 'retryable' }],
    [
      'retryable beside refused: somebody was asked',
      [failed('refused'), failed('retryable')],
      { failure: 'retryable' },
    ],
    ['refused beside permanent', [failed('refused'), failed('permanent')], { failure: 'refused' }],
    [
      'throttled beside permanent',
      [failed('throttled', 700), failed('permanent')],
      { failure: 'throttled', retryAfterMillis: 700 },
    ],
    [
      'throttled everywhere, with the smallest hint',
      [failed('throttled', 900), failed('throttled', 300)],
      { failure: 'throttled', retryAfterMillis: 300 },
    ],
    ['shutdown above all', [failed('retryable'), failed('shutdown'), failed('throttled', 5)], { failure: 'shutdown' }],
  ])('is %s', (_, failures, expected) => {
    expect(verdict(failures)).toMatchObject(expected);
  });

  it('carries no hint when somebody may be asked sooner', () => {
    expect(verdict([failed('throttled', 9_000), failed('refused')])).not.toHaveProperty('retryAfterMillis');
    expect(verdict([failed('throttled', 9_000), failed('refused', 700)])).not.toHaveProperty('retryAfterMillis');
    expect(verdict([failed('throttled', 9_000), failed('throttled')])).not.toHaveProperty('retryAfterMillis');
    expect(verdict([failed('throttled', 9_000), failed('retryable')])).not.toHaveProperty('retryAfterMillis');
  });

  it('carries the error of the last endpoint that failed this way', () => {
    const failures = [failed('retryable', undefined, 'a'), failed('retryable', undefined, 'b'), failed('refused')];
    expect(verdict(failures).error.message).toBe('b');
  });

  it('never says permanent while an endpoint may still take the spans, and never invents a failure', () => {
    fc.assert(
      fc.property(anyFailures, (failures) => {
        const { failure, error, retryAfterMillis } = verdict(failures);
        expect(failures.some((one) => one.failure === failure && one.error === error)).toBe(true);
        expect(failure === 'permanent').toBe(failures.every((one) => one.failure === 'permanent'));
        if (retryAfterMillis !== undefined) {
          expect(
            failures.every((one) => one.failure === 'permanent' || one.retryAfterMillis! >= retryAfterMillis),
          ).toBe(true);
        }
      }),
    );
  });
});
