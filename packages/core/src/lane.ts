import type { ReadableSpan } from './sdk-types.js';

/**
 * How much a span is worth when not all can be kept: an error is dropped last, then the root of a local trace
 * (it alone says that the request happened and how long it took), then the rest.
 */
export type Lane = 'errors' | 'localRoots' | 'rest';

/** From the least valuable to the most: the order in which lanes are dropped. */
export const LANES: readonly Lane[] = ['rest', 'localRoots', 'errors'];

const STATUS_ERROR = 2;

export function laneOf(span: ReadableSpan): Lane {
  if (span.status.code === STATUS_ERROR) return 'errors';
  const parent = span.parentSpanContext;
  return parent === undefined || parent.isRemote === true ? 'localRoots' : 'rest';
}
