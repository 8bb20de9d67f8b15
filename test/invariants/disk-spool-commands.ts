import type { CrashOptions, DiskFault, DiskOperationKind } from '@otel-resilience/testing';
import fc from 'fast-check';

export const OUTCOMES = ['delivered', 'delivered', 'retryable', 'part', 'permanent', 'poison', 'nonsense'] as const;

/** What may happen to spools and to the disk below them. `by`: by which process. */
export type SpoolCommand =
  | {
      readonly kind: 'append';
      readonly by: number;
      readonly batches: ReadonlyArray<{ readonly spans: number; readonly bytes: number }>;
    }
  | { readonly kind: 'lease'; readonly by: number; readonly count: number }
  | { readonly kind: 'settle'; readonly by: number; readonly which: number; readonly how: (typeof OUTCOMES)[number] }
  | { readonly kind: 'wait'; readonly millis: number }
  /** Another process comes; one is shut down, or dies, while another lives. */
  | { readonly kind: 'start' | 'stop' | 'die'; readonly by: number }
  /** All processes end, and one begins. */
  | { readonly kind: 'shutdown' | 'kill' }
  | { readonly kind: 'crash'; readonly keep: CrashOptions['keep'] }
  | { readonly kind: 'fail'; readonly fault: DiskFault }
  | { readonly kind: 'fill'; readonly freeBytes: number }
  | { readonly kind: 'heal' };

export interface SpoolSettings {
  readonly fsync: 'always' | 'interval' | 'never';
  readonly order: 'oldest' | 'newest';
  readonly dropPolicy: 'oldest' | 'newest';
  readonly maxBytes: number;
  readonly maxSegmentBytes: number;
  readonly shortWrites: number;
  readonly shortReads: number;
}

export const settings: fc.Arbitrary<SpoolSettings> = fc.record({
  fsync: fc.constantFrom('always' as const, 'always' as const, 'interval' as const, 'never' as const),
  order: fc.constantFrom('oldest' as const, 'newest' as const),
  dropPolicy: fc.constantFrom('oldest' as const, 'newest' as const),
  maxBytes: fc.constantFrom(10_000_000, 10_000_000, 8_000),
  maxSegmentBytes: fc.constantFrom(1_024, 4_000, 8_000),
  shortWrites: fc.constantFrom(0, 0.3),
  shortReads: fc.constantFrom(0, 0.3),
});

// Mostly the first.
const by = fc.constantFrom(0, 0, 1, 2);
const batch = fc.record({ spans: fc.integer({ min: 1, max: 4 }), bytes: fc.constantFrom(0, 0, 400, 3_000) });
const append = fc.record({
  kind: fc.constant('append' as const),
  by,
  batches: fc.array(batch, { minLength: 1, maxLength: 4 }),
});
const lease = fc.record({ kind: fc.constant('lease' as const), by, count: fc.integer({ min: 1, max: 3 }) });
const settle = fc.record({
  kind: fc.constant('settle' as const),
  by,
  which: fc.nat(9),
  how: fc.constantFrom(...OUTCOMES),
});
const wait = fc.record({
  kind: fc.constant('wait' as const),
  millis: fc.constantFrom(0, 10, 100, 499, 501, 1_000, 6_000, 70_000, 400_000),
});
const crash = fc.record({
  kind: fc.constant('crash' as const),
  keep: fc.constantFrom('some' as const, 'some' as const, 'none' as const),
});

/** One process on a disk that works, until the power fails. */
export const calmCommand: fc.Arbitrary<SpoolCommand> = fc.oneof(
  { weight: 7, arbitrary: append },
  { weight: 4, arbitrary: lease },
  { weight: 4, arbitrary: settle },
  { weight: 4, arbitrary: wait },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('shutdown' as const, 'kill' as const) }) },
  { weight: 1, arbitrary: crash },
);

/** Several processes with one directory. */
export const sharedCommand: fc.Arbitrary<SpoolCommand> = fc.oneof(
  { weight: 7, arbitrary: calmCommand },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('start' as const), by }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('stop' as const, 'die' as const), by }) },
);

const FAILING: ReadonlyArray<readonly DiskOperationKind[]> = [
  ['write'],
  ['sync'],
  ['syncDirectory'],
  ['create'],
  ['remove'],
  ['truncate'],
  ['rename'],
  ['open', 'read'],
  ['write', 'sync', 'syncDirectory', 'create', 'truncate'],
];
const fail = fc.record({
  kind: fc.constant('fail' as const),
  fault: fc.record({
    operations: fc.constantFrom(...FAILING),
    code: fc.constantFrom('EIO', 'ENOSPC'),
    after: fc.nat(4),
    times: fc.constantFrom(1, 1, 2, 5, 20),
  }),
});

/** One process on a disk that fails, or is full, now and then. */
export const troubledCommand: fc.Arbitrary<SpoolCommand> = fc.oneof(
  { weight: 10, arbitrary: calmCommand },
  { weight: 3, arbitrary: fail },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fill' as const), freeBytes: fc.nat(5_000) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'heal' as const }) },
);
