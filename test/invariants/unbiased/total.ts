/** What does not stand for itself alone, of one local trace. */
export interface AtChance {
  readonly count: number;
  readonly probability: number;
}

/**
 * One total, true and estimated. Standard errors are those of the design, clustered by trace: all local traces of one
 * share its randomness R, so with thresholds T₁ ≤ T₂ ≤ … their errors are one random variable with a value per interval
 * between two of them, of which we know all moments. What is exported with `th:0` does not err. (A variance taken from
 * the sample would be correlated with the estimate, where few traces stand for many.)
 */
export class Total {
  truth = 0;
  estimate = 0;
  /** Independent traces with a span that was exported and counted here. */
  keptTraces = 0;
  private variance = 0;
  private third = 0;
  private squares = 0;

  /** One trace. */
  add(truth: number, estimate: number, atChance: AtChance[]): void {
    this.truth += truth;
    this.estimate += estimate;
    this.squares += estimate * estimate;
    if (estimate > 0) this.keptTraces++;
    if (atChance.length > 0) this.addMoments(atChance);
  }

  /** Those of another seed. */
  merge(other: Total): void {
    this.truth += other.truth;
    this.estimate += other.estimate;
    this.keptTraces += other.keptTraces;
    this.variance += other.variance;
    this.third += other.third;
    this.squares += other.squares;
  }

  get z(): number {
    return this.variance === 0 ? 0 : (this.estimate - this.truth) / Math.sqrt(this.variance);
  }

  /** Of the distribution of `z`: 0 for a normal one. */
  get skewness(): number {
    return this.variance === 0 ? 0 : this.third / this.variance ** 1.5;
  }

  get relativeError(): number {
    return this.estimate / this.truth - 1;
  }

  /** How many traces, all with the same weight, would say as much as those that are kept (Kish). */
  get effectiveTraces(): number {
    return this.squares === 0 ? 0 : this.estimate ** 2 / this.squares;
  }

  /** Of Σ count × (1[R ≥ T] / probability − 1). */
  private addMoments(atChance: AtChance[]): void {
    if (atChance.length > 1) atChance.sort((a, b) => a.probability - b.probability);
    // From R so high that all are kept, down to R so low that none is.
    let value = 0;
    for (const { count, probability } of atChance) value += count / probability - count;
    let above = 0;
    for (const { count, probability } of atChance) {
      this.addMoment(probability - above, value);
      above = probability;
      value -= count / probability;
    }
    this.addMoment(1 - above, value);
  }

  private addMoment(share: number, value: number): void {
    this.variance += share * value * value;
    this.third += share * value * value * value;
  }
}
