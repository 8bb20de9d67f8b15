import { ConfigurationError, type OptionReader } from '@otel-resilience/core';

/** Steps to be taken one per call, and one that stands for every call after them. */
export class Script<Step> {
  private readonly read: OptionReader<Step>;
  private readonly path: string;
  private steps: Step[] = [];
  private standing: Step;

  /** `read` judges steps given later, as it has judged `standing`; `path` is the name of their owner in its errors. */
  constructor(standing: Step, read: OptionReader<Step>, path: string) {
    this.standing = standing;
    this.read = read;
    this.path = path;
  }

  next(): Step {
    return this.steps.length > 0 ? this.steps.shift()! : this.standing;
  }

  /** Replaces the steps that are left. */
  replace(steps: readonly Step[]): void {
    this.steps = steps.map((step, index) => this.read(step, `${this.path}.script[${index}]`));
  }

  stand(step: Step): void {
    this.standing = this.read(step, `${this.path}.respond`);
  }
}

/** A function, one of the words, or an object whose `kind` is one of the kinds. */
export function step<Step>({ kinds, words = kinds }: StepRule): OptionReader<Step> {
  return (value, path) => {
    const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
    if (typeof value === 'function' || words.includes(value as string) || kinds.includes(kind as string)) {
      return value as Step;
    }
    throw new ConfigurationError(path, `a step of kind ${kinds.join(', ')}`, kind ?? value);
  };
}

interface StepRule {
  readonly kinds: readonly string[];
  /** What may stand for itself. Default: the kinds. */
  readonly words?: readonly string[];
}
