import type { Clock, DegradationLevel, PipelineSignals } from '@otel-resilience/core';

/** The levels a trigger can ask for. */
export type RaisedLevel = Exclude<DegradationLevel, 'normal'>;

/**
 * From which value on a trigger asks for each level. None is below the one before; equal ones skip a level;
 * `Infinity` never asks for that level.
 */
export type TriggerThresholds = Readonly<Record<RaisedLevel, number>>;

/**
 * One thing that is watched: a number, and what each height of it asks for. A plain object will do:
 *
 *     const inbox: Trigger = {
 *       name: 'inbox',
 *       thresholds: { light: 1_000, moderate: 5_000, heavy: 20_000, emergency: Infinity },
 *       read: () => messages.length,
 *     };
 *
 * The controller copies everything but the methods when it is constructed.
 */
export interface Trigger {
  /** Unique within a controller; shown in the history, in `status()` and in metrics. */
  readonly name: string;
  readonly thresholds: TriggerThresholds;
  /** Calm is below this, and the level goes down only while every trigger is calm. Default: 0.8 × `thresholds.light`. */
  readonly recoveryThreshold?: number | undefined;
  /** Used in its place under `recoveryProfile: 'reference'`, unless it is above `thresholds.light`. */
  readonly referenceRecoveryThreshold?: number | undefined;
  /** How long the trigger must have asked without a break, as seen by evaluations, before it counts. Default 0. */
  readonly holdForMillis?: number | undefined;
  /** Read as soon as signals say that something moved, not only at evaluations. Default false. */
  readonly immediate?: boolean | undefined;
  /** The signals that an immediate trigger reads, so that the controller hears of their changes. */
  readonly signals?: Pick<PipelineSignals, 'onChange'> | undefined;
  /**
   * The value now; `undefined` when there is nothing to say, which is calm. Called on the main thread at each
   * evaluation, so it must be cheap: what has to be sampled is sampled beside, between `start` and `stop`. Throwing,
   * rejecting, hanging and anything but a finite number is a failure, which moves nothing.
   */
  read(): number | undefined | Promise<number | undefined>;
  /** The controller starts: sample from now on, with timers of this clock; it reads about that often. */
  start?(clock: Clock, evaluationIntervalMillis: number): void;
  /** The controller stops: leave no timer behind. It may start again. */
  stop?(): void;
  /** How a call that went through `guard()` ended. */
  recordOutcome?(ok: boolean): void;
}
