import {
  type Clock,
  type DegradationLevel,
  type DegradationStrategy,
  type LevelSource,
  list,
  millis,
  optional,
  type PipelineSignals,
  readOptions,
} from '@otel-resilience/core';
import { DegradationController, type DegradationControllerOptions, type Trigger } from '@otel-resilience/degradation';
import { defaultTriggers, type TriggerSelection, triggerSelection } from './default-triggers.js';
import { writtenAt } from './written-at.js';

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
  const { evaluationIntervalMillis } = controller;
  const read = readOptions(
    'resilience.degradation',
    { triggers, additionalTriggers, evaluationIntervalMillis },
    SCHEMA,
  );
  const selected = defaultTriggers(read.triggers, {
    signals: provided.signals,
    twoEvaluationsMillis: 0.9 * read.evaluationIntervalMillis,
  });
  const all = [...selected, ...(read.additionalTriggers ?? [])];
  const place = (rest: string) =>
    rest.replace(/^\.triggers\[(\d+)\]/, (_, index) => {
      return index < selected.length ? '.triggers' : `.additionalTriggers[${index - selected.length}]`;
    });
  return writtenAt(
    (rest) => `resilience.degradation${place(rest)}`,
    () => new DegradationController({ ...controller, ...provided, triggers: all }),
  );
}

/**
 * The controller as samplers and processors see it. A span that comes after the shutdown must not start it again.
 *
 * A class, since its level is read several times for every span: a getter in an object literal is looked up each time.
 */
export class FollowedController implements LevelSource {
  private readonly controller: DegradationController;
  private isOver = false;

  constructor(controller: DegradationController) {
    this.controller = controller;
  }

  get level(): DegradationLevel {
    return this.controller.level;
  }

  isActive(strategy: DegradationStrategy): boolean {
    return this.controller.isActive(strategy);
  }

  start(): void {
    if (!this.isOver) this.controller.start();
  }

  stop(): void {
    this.isOver = true;
    this.controller.stop();
  }
}

const SCHEMA = {
  triggers: optional(triggerSelection),
  // Whether something is a trigger is for the controller to say, which names its place among all.
  additionalTriggers: optional(list((value) => value as Trigger)),
  evaluationIntervalMillis: millis({ default: 30_000 }),
};
