/**
 * What a tail sampler must know of a local root and cannot see: whether this process would have recorded the local
 * trace whatever the random numbers had said. The SDK calls `shouldSample` and then, in the same `startSpan`,
 * `onStart`; so the sampler leaves word in one slot, and the processor takes it if it is about its span.
 *
 * Only primitive fields, written in place: this happens at every root.
 */
export interface SamplingHandover {
  /** The trace the last decision about a root, or about a span with a remote parent, was for. `''`: none. */
  traceId: string;
  /** Its remote parent; `''` for a root. */
  parentSpanId: string;
  /**
   * `all`: this process would have recorded every span of the local trace; `localRoot`: its local root, and perhaps no
   * more; `none`: nothing is certain. (A delegate that drops, or a parent that is not sampled, does not make it less.)
   */
  certainty: SamplingCertainty;
  /** The local root it was about, once a tail has taken it. `''`: not yet. */
  spanId: string;
  /** Whether a kept error would be counted differently from what the head decided: false when all are kept anyway. */
  holds: boolean;
  /**
   * The local parent of the child that was decided about last, if it is certain that the child would have been recorded
   * in an unsampled trace too; else `''`. A child of which it does not speak has been decided by another sampler.
   */
  childOf: string;
}

export type SamplingCertainty = 'all' | 'localRoot' | 'none';

// Shared by the ESM and the CommonJS copy of this module: the sampler may be of one, the processor of the other.
const SLOT = Symbol.for('otel-resilience.sampling-handover');
const slots = globalThis as { [SLOT]?: SamplingHandover };

slots[SLOT] ??= { traceId: '', parentSpanId: '', spanId: '', certainty: 'none', holds: false, childOf: '' };

/** The slot: the sampler writes it at every root and remote parent, the tail reads it at the `onStart` that follows. */
export const samplingHandover: SamplingHandover = slots[SLOT];

/**
 * Whether the slot speaks of this local root. The word is taken by it, so that a span that another sampler decided on
 * does not find it; a second tail asks for the same span.
 */
export function takeHandover(traceId: string, parentSpanId: string, spanId: string): boolean {
  const slot = samplingHandover;
  if (slot.traceId !== traceId || slot.parentSpanId !== parentSpanId) return false;
  if (slot.spanId === '') slot.spanId = spanId;
  return slot.spanId === spanId;
}
