/**
 * What holds the sampler to a target of sampled spans per second. The sampler's ratio is the lower of its own and this
 * one; see `RateTarget` for the one behind `targetSpansPerSecond`.
 */
export interface RateCap {
  /** In [0.01, 1]. Read for every root, so it must be a plain read; a new one costs the sampler a new table. */
  readonly ratio: number;
  /** The ratio of one operation, where every operation has its own. In its place `ratio` is not read. */
  ratioFor?(operation: string): number;
  /** A decision about a root, or about a span with a remote parent, is due. `operation` is its span name. */
  onRoot(operation: string): void;
  /**
   * A span will be sampled: of every kind, children too. `operation` is the name of its local root, and `undefined`
   * for a child, whose local root is not known here.
   */
  onSampledSpan(operation?: string): void;
}
