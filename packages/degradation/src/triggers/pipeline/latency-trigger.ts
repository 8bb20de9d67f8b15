import { GaugeTrigger, type PipelineTriggerOptions } from './gauge-trigger.js';

export type LatencyTriggerOptions = PipelineTriggerOptions;

/**
 * The 95th percentile of recent export durations, in milliseconds: 100, 250, 500 and 1,000. The reference profile calls
 * a mean below 100 ms calm; this is the stricter reading of it.
 */
export class LatencyTrigger extends GaugeTrigger {
  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: LatencyTriggerOptions) {
    super('LatencyTrigger', options, RULE, 'exportLatencyP95Millis');
  }
}

const RULE = {
  name: 'latency',
  thresholds: { light: 100, moderate: 250, heavy: 500, emergency: 1_000 },
  referenceRecoveryThreshold: 100,
};
