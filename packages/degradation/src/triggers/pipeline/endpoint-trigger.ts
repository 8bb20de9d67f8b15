import { GaugeTrigger, type PipelineTriggerOptions } from './gauge-trigger.js';

export type EndpointTriggerOptions = PipelineTriggerOptions;

/**
 * The share of endpoints whose breaker is not closed: light from half of them, moderate when it is all. It asks for no
 * more by itself: an outage is what the spool is there for, and that has a trigger of its own. Immediate.
 */
export class EndpointTrigger extends GaugeTrigger {
  readonly immediate = true;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: EndpointTriggerOptions) {
    super('EndpointTrigger', options, RULE, 'failedEndpoints');
  }
}

const RULE = {
  name: 'endpoints',
  thresholds: { light: 0.5, moderate: 1, heavy: Number.POSITIVE_INFINITY, emergency: Number.POSITIVE_INFINITY },
  max: 1,
};
