import type { Level } from '../level.js';

/** What made the level rise. */
export interface Reason {
  readonly trigger: string;
  readonly value: number;
  readonly threshold: number;
}

/** One move of the level, as the controller's history has it. */
export interface Transition extends Partial<Reason> {
  /** Wall time. */
  readonly time: number;
  readonly from: Level;
  readonly to: Level;
  readonly cause: string;
}
