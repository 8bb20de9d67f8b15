import { createInstruments, type Instruments } from '@otel-resilience/core';
import type { TransitionCause } from './transition.js';
import type { TriggerWatch } from './trigger-watch.js';

const PREFIX = 'otel_resilience.degradation';

/** What the metrics read when they are collected. */
export interface Observed {
  readonly rank: number;
  readonly automaticRank: number;
  readonly watches: readonly TriggerWatch[];
  readonly transitions: ReadonlyMap<TransitionCause, number>;
}

/** The level and what the triggers say. Levels are numbers, 0 for `normal` to 4 for `emergency`. */
export function controllerInstruments(observed: Observed, enabled: boolean): Instruments {
  return createInstruments(
    'DegradationController',
    [
      {
        kind: 'gauge',
        name: `${PREFIX}.level`,
        unit: '{level}',
        description: 'The level in force.',
        read: (report) => report(observed.rank),
      },
      {
        kind: 'gauge',
        name: `${PREFIX}.automatic_level`,
        unit: '{level}',
        description: 'The level that the triggers have led to, whatever is forced.',
        read: (report) => report(observed.automaticRank),
      },
      {
        kind: 'gauge',
        name: `${PREFIX}.trigger.level`,
        unit: '{level}',
        description: 'The level that each trigger asks for.',
        read: (report) => {
          for (const { name, asks } of observed.watches) report(asks, { trigger: name });
        },
      },
      {
        kind: 'gauge',
        name: `${PREFIX}.trigger.value`,
        unit: '1',
        description: 'What each trigger has read last, in its own unit.',
        read: (report) => {
          for (const { name, value } of observed.watches) if (value !== undefined) report(value, { trigger: name });
        },
      },
      {
        kind: 'counter',
        name: `${PREFIX}.trigger.failures`,
        unit: '{failure}',
        description: 'How often each trigger could not be read.',
        read: (report) => {
          for (const { name, failures } of observed.watches) report(failures, { trigger: name });
        },
      },
      {
        kind: 'counter',
        name: `${PREFIX}.transitions`,
        unit: '{transition}',
        description: 'Moves of the level, by cause.',
        read: (report) => {
          for (const [cause, count] of observed.transitions) report(count, { cause });
        },
      },
    ],
    { enabled },
  );
}
