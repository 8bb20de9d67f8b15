import type { SpoolListing } from '@otel-resilience/tiered';

export interface Totals {
  readonly segments: number;
  readonly batches: number;
  readonly spans: number;
  readonly bytes: number;
  readonly corruptRegions: number;
  readonly corruptBytes: number;
  readonly unreadableSegments: number;
  readonly oldestMillis?: number;
}

/** Of all that waits: what is in quarantine does not. */
export function totalsOf({ directories }: SpoolListing): Totals {
  const segments = directories.flatMap((each) => each.segments);
  const sum = (value: (segment: (typeof segments)[number]) => number) =>
    segments.reduce((total, segment) => total + value(segment), 0);
  const oldest = segments.reduce(
    (least, { oldestMillis = least }) => Math.min(least, oldestMillis),
    Number.POSITIVE_INFINITY,
  );
  return {
    segments: segments.length,
    batches: sum(({ frames }) => frames),
    spans: sum(({ spans }) => spans),
    bytes: sum(({ bytes }) => bytes),
    corruptRegions: sum(({ corrupt }) => corrupt.frames),
    corruptBytes: sum(({ corrupt }) => corrupt.bytes),
    unreadableSegments: segments.filter(({ error }) => error).length,
    ...(Number.isFinite(oldest) && { oldestMillis: oldest }),
  };
}
