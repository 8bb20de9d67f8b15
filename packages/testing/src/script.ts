/** Steps to be taken one per call, and one that stands for every call after them. */
export class Script<Step> {
  private steps: Step[];
  private standing: Step;

  constructor(steps: readonly Step[], standing: Step) {
    this.steps = [...steps];
    this.standing = standing;
  }

  next(): Step {
    return this.steps.length > 0 ? this.steps.shift()! : this.standing;
  }

  /** Replaces the steps that are left. */
  replace(steps: readonly Step[]): void {
    this.steps = [...steps];
  }

  stand(step: Step): void {
    this.standing = step;
  }
}
