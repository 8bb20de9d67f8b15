import type { Clock } from '@otel-resilience/core';

interface Deadline {
  readonly what: string;
  readonly at: number;
  settledAt: number | undefined;
}

// Deadlines are sums of fractions.
const SLACK_MILLIS = 1e-6;

/** Promises that must settle by their deadline. */
export class Deadlines {
  private readonly clock: Clock;
  private readonly deadlines: Deadline[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A deadline that has passed already means at once. */
  expect(what: string, promise: Promise<unknown>, at: number): void {
    const deadline: Deadline = { what, at: Math.max(at, this.clock.now()), settledAt: undefined };
    this.deadlines.push(deadline);
    const settled = () => {
      deadline.settledAt = this.clock.now();
    };
    promise.then(settled, settled);
  }

  get pending(): number {
    return this.deadlines.filter(({ settledAt }) => settledAt === undefined).length;
  }

  /** Throws when one has passed. */
  check(): void {
    for (const { what, at, settledAt } of this.deadlines) {
      if ((settledAt ?? this.clock.now()) <= at + SLACK_MILLIS) continue;
      throw new Error(
        `${what} was due at ${at} and ${settledAt === undefined ? 'is open' : `settled at ${settledAt}`}`,
      );
    }
  }
}
