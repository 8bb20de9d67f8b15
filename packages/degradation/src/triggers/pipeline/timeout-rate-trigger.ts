import { GaugeTrigger, type PipelineTriggerOptions } from './gauge-trigger.js';

export type TimeoutRateTriggerOptions = PipelineTriggerOptions;

/** The share of recent exports that timed out: 0.05, 0.075, 0.1 and 0.2, as for errors. */
export class TimeoutRateTrigger extends GaugeTrigger {
  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: TimeoutRateTriggerOptions) {
    super('TimeoutRateTrigger', options, RULE, 'exportTimeoutRate');
  }
}

const RULE = { name: 'timeoutRate', thresholds: { light: 0.05, moderate: 0.075, heavy: 0.1, emergency: 0.2 }, max: 1 };
