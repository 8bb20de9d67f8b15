import type { DegradationTransition } from './transition.js';

/** A trigger could not be read. It has moved nothing. */
export interface TriggerFailureEvent {
  readonly trigger: string;
  /** What it threw, or what else was wrong. */
  readonly error: string;
  /** How often this trigger has failed so far. */
  readonly failures: number;
}

export interface DegradationEvents {
  readonly transition: DegradationTransition;
  readonly triggerFailure: TriggerFailureEvent;
}

export type DegradationEventName = keyof DegradationEvents;

export const DEGRADATION_EVENTS: readonly DegradationEventName[] = ['transition', 'triggerFailure'];
