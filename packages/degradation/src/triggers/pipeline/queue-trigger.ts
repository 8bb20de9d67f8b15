import { GaugeTrigger, type PipelineTriggerOptions } from './gauge-trigger.js';

export type QueueTriggerOptions = PipelineTriggerOptions;

/** How full the processor's queue is, in spans or bytes: 0.5, 0.7, 0.85 and 0.95. Immediate. */
export class QueueTrigger extends GaugeTrigger {
  readonly immediate = true;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: QueueTriggerOptions) {
    super('QueueTrigger', options, RULE, 'queueUtilization');
  }
}

const RULE = { name: 'queue', thresholds: { light: 0.5, moderate: 0.7, heavy: 0.85, emergency: 0.95 }, max: 1 };
