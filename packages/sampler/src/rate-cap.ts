/**
 * What holds the sampler to a target of sampled spans per second. The sampler's ratio is the lower of its own and this
 * one; see `RateTarget` for the one behind `targetSpansPerSecond`.
 *
 * What is optional below makes it more exact, and costs the sampler nothing that it does not know anyway.
 */
export interface RateCap {
  /** In [0.01, 1]. Read for every root, so it must be a plain read; a new one costs the sampler a new table. */
  readonly ratio: number;
  /** The ratio of one operation, where every operation has its own. In its place `ratio` is not read. */
  ratioFor?(operation: string): number;
  /**
   * A decision about a root, or about a span with a remote parent. `operation` is its span name.
   *
   * `bound` is the ratio without the cap, rule × level: a trace that is sampled with 0.01 anyway takes no more of the
   * target. Of a remote parent that was sampled at `p` only the share `p` arrives here as sampled: `bound` is then the
   * lower of both, and `weight` is `1 / p`. `bound` 0: not sampled whatever the cap (the parent or the delegate said
   * no); `Infinity`: sampled whatever the cap (the parent decides). By default 1 and 1.
   */
  onRoot(operation: string, bound?: number, weight?: number): void;
  /**
   * A span will be sampled: of every kind, children too. `operation` is the name of its local root, and `undefined`
   * for a child, whose local root is not known here but by the trace id.
   */
  onSampledSpan(operation?: string, traceId?: string): void;
  /** A child of a local parent will not be sampled. The size of traces is then known however few are sampled. */
  onUnsampledChild?(): void;
}
