import type { DegradationLevel } from '@otel-resilience/core';

/** Why the level moved. */
export type TransitionCause =
  /** A trigger asked for more. */
  | 'trigger'
  /** Everything was calm for a recovery interval. */
  | 'recovery'
  | 'force'
  | 'release'
  /** The `ttlMillis` of a force were over. */
  | 'expiry'
  /** The controller was stopped, and nobody watches any longer. */
  | 'stop';

/** What made a level rise. */
export interface TransitionReason {
  /** The name of the trigger. */
  readonly trigger: string;
  readonly value: number;
  /** The threshold that the value has reached. */
  readonly threshold: number;
}

/** One move of the level. `trigger`, `value` and `threshold` are there when the cause is `trigger`. */
export interface DegradationTransition extends Partial<TransitionReason> {
  /** Wall time, in milliseconds since the epoch. */
  readonly time: number;
  readonly from: DegradationLevel;
  readonly to: DegradationLevel;
  readonly cause: TransitionCause;
  /** Whether `level` moved. False under a force and with `monitorOnly`, where only `automaticLevel` did. */
  readonly inForce: boolean;
}

const KEPT = 1_000;

/** The last 1,000 transitions, and how many there have been. */
export class TransitionHistory {
  readonly counts: Map<TransitionCause, number> = new Map();
  private readonly kept: DegradationTransition[] = [];

  add(transition: DegradationTransition): void {
    this.counts.set(transition.cause, (this.counts.get(transition.cause) ?? 0) + 1);
    this.kept.push(transition);
    if (this.kept.length > KEPT) this.kept.shift();
  }

  /** Oldest first. */
  list(): readonly DegradationTransition[] {
    return [...this.kept];
  }
}
