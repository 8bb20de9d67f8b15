// A call leaves the window when its step does: at the latest after the window's length, at the earliest 1/30 before.
const STEPS = 30;

interface Step {
  readonly number: number;
  calls: number;
  failures: number;
}

/** Which share of the calls of the last `lengthMillis` failed. Also empties when nobody calls. */
export class OutcomeWindow {
  private readonly stepMillis: number;
  private steps: Step[] = [];

  constructor(lengthMillis: number) {
    this.stepMillis = lengthMillis / STEPS;
  }

  add(now: number, ok: boolean): void {
    this.advance(now);
    const number = Math.floor(now / this.stepMillis);
    let step = this.steps.at(-1);
    if (step?.number !== number) {
      step = { number, calls: 0, failures: 0 };
      this.steps.push(step);
    }
    step.calls++;
    if (!ok) step.failures++;
  }

  /** `undefined` when there are fewer than `minimumCalls`. */
  failureRate(now: number, minimumCalls: number): number | undefined {
    this.advance(now);
    const calls = this.steps.reduce((sum, step) => sum + step.calls, 0);
    if (calls < minimumCalls) return undefined;
    return this.steps.reduce((sum, step) => sum + step.failures, 0) / calls;
  }

  clear(): void {
    this.steps = [];
  }

  private advance(now: number): void {
    const current = Math.floor(now / this.stepMillis);
    // What lies ahead was recorded before the clock went back.
    if ((this.steps.at(-1)?.number ?? current) > current) this.clear();
    while (this.steps.length > 0 && this.steps[0]!.number <= current - STEPS) this.steps.shift();
  }
}
