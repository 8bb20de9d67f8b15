import { GaugeTrigger, type PipelineTriggerOptions } from './gauge-trigger.js';

export type SpoolTriggerOptions = PipelineTriggerOptions;

/** How full the spool is: 0.5, 0.7, 0.85 and 0.95. Immediate. */
export class SpoolTrigger extends GaugeTrigger {
  readonly immediate = true;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: SpoolTriggerOptions) {
    super('SpoolTrigger', options, RULE, 'spoolUtilization');
  }
}

const RULE = { name: 'spool', thresholds: { light: 0.5, moderate: 0.7, heavy: 0.85, emergency: 0.95 }, max: 1 };
