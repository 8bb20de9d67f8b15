import type { DegradationLevel, DegradationStrategy } from '@otel-resilience/core';
import type { ForcedLevelStatus } from './forced-level.js';
import type { TransitionReason } from './transition.js';
import type { TriggerStatus } from './trigger-watch.js';

/** What the controller knows, for people. */
export interface ControllerStatus {
  readonly enabled: boolean;
  /** Whether it watches: started and not stopped. */
  readonly running: boolean;
  /** The level in force. */
  readonly level: DegradationLevel;
  /** What the triggers have led to, whatever is forced or only monitored. */
  readonly automaticLevel: DegradationLevel;
  readonly forced?: ForcedLevelStatus;
  readonly monitorOnly: boolean;
  /** Why the automatic level is what it is: what asks for it, or what did last; not there at `normal`. */
  readonly reason?: TransitionReason;
  /** The triggers that keep the automatic level from going down: those not below their recovery thresholds. */
  readonly heldBy: readonly string[];
  readonly triggers: readonly TriggerStatus[];
  /** The strategies in force. */
  readonly strategies: readonly DegradationStrategy[];
  /** Each feature, and whether it is available. */
  readonly features: Readonly<Record<string, boolean>>;
}
