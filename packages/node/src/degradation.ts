import { type Clock, list, optional, type PipelineSignals, readOptions } from '@otel-resilience/core';
import { DegradationController, type DegradationControllerOptions, type Trigger } from '@otel-resilience/degradation';
import { defaultTriggers, type TriggerSelection, triggerSelection } from './default-triggers.js';

/** The `degradation` section: options of the `DegradationController`, and which triggers it has. */
export interface DegradationOptions
  extends Omit<DegradationControllerOptions, 'triggers' | 'signals' | 'metrics' | 'clock'> {
  /** What is watched. Default: all but `pressure`, see {@link TriggerSelection}. */
  readonly triggers?: TriggerSelection;
  /** Triggers of your own, or a second one of a kind. Default: none. */
  readonly additionalTriggers?: readonly Trigger[];
}

interface Provided {
  readonly signals: PipelineSignals;
  readonly metrics: boolean;
  readonly clock: Clock | undefined;
}

export function createController(options: DegradationOptions = {}, provided: Provided): DegradationController {
  const { triggers, additionalTriggers, ...controller } = options;
  const read = readOptions('resilience.degradation', { triggers, additionalTriggers }, SELECTION);
  const { evaluationIntervalMillis = 30_000 } = controller;
  const selected = defaultTriggers(read.triggers, {
    signals: provided.signals,
    twoEvaluationsMillis: 0.9 * evaluationIntervalMillis,
  });
  return new DegradationController({
    ...controller,
    ...provided,
    triggers: [...selected, ...(read.additionalTriggers ?? [])],
  });
}

// Whether something is a trigger is for the controller to say, which names its place among all.
const SELECTION = {
  triggers: optional(triggerSelection),
  additionalTriggers: optional(list((value) => value as Trigger)),
};
