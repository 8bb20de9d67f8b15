import type { ReadableSpan } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { HOSTILE_SPANS } from '../support/hostile-spans.js';

type SpanShape = 'plain' | 'error' | 'child' | 'unsampled' | 'large' | keyof typeof HOSTILE_SPANS;

/** What the spans below take, encoded. */
export const SMALLEST_BYTES = 50;
export const LARGEST_BYTES = 40_000;
const PARENT = { parentSpanId: 'b7ad6b7169203331' };
export const SHAPES: Readonly<Record<string, () => ReadableSpan>> = {
  plain: () => fakeSpan(),
  error: () => fakeSpan({ isError: true }),
  child: () => fakeSpan(PARENT),
  unsampled: () => fakeSpan({ traceFlags: 0 }),
  large: () => fakeSpan({ attributes: { blob: 'x'.repeat(LARGEST_BYTES / 2) } }),
  ...HOSTILE_SPANS,
};

/** What may happen to a pipeline. */
export type Command =
  | { readonly kind: 'end'; readonly shape: SpanShape; readonly count: number }
  | { readonly kind: 'advance'; readonly millis: number }
  | { readonly kind: 'flush' | 'shutdown'; readonly withinMillis: number | undefined }
  | { readonly kind: 'release' };

const shape = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('plain', 'error', 'child', 'unsampled', 'large') },
  { weight: 1, arbitrary: fc.constantFrom(...Object.keys(HOSTILE_SPANS)) },
);
const within = fc.option(fc.integer({ min: -100, max: 40_000 }), { nil: undefined });
export const arbitraryCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('end' as const), shape, count: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('advance' as const), millis: fc.nat(20_000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flush' as const), withinMillis: within }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('shutdown' as const), withinMillis: within }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'release' as const }) },
);
