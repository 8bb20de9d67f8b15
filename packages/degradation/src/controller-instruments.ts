import { createInstruments, type Instruments } from '@otel-resilience/core';
import type { LevelInForce } from './level-in-force.js';
import type { TriggerWatch } from './trigger-watch.js';

const PREFIX = 'otel_resilience.degradation';

/** The level and what the triggers say. Levels are numbers, 0 for `normal` to 4 for `emergency`. */
export function controllerInstruments(
  current: LevelInForce,
  watches: readonly TriggerWatch[],
  enabled: boolean,
): Instruments {
  return createInstruments(
    'DegradationController',
    [
      {
        kind: 'gauge',
        name: `${PREFIX}.level`,
        unit: '{level}',
        description: 'The level in force.',
        read: (report) => report(current.rank),
      },
      {
        kind: 'gauge',
        name: `${PREFIX}.automatic_level`,
        unit: '{level}',
        description: 'The level that the triggers have led to, whatever is forced.',
        read: (report) => report(current.automaticRank),
      },
      {
        kind: 'gauge',
        name: `${PREFIX}.trigger.level`,
        unit: '{level}',
        description: 'The level that each trigger asks for.',
        read: (report) => {
          for (const { name, asks } of watches) report(asks, { trigger: name });
        },
      },
      {
        kind: 'gauge',
        name: `${PREFIX}.trigger.value`,
        unit: '1',
        description: 'What each trigger has read last, in its own unit.',
        read: (report) => {
          for (const { name, value } of watches) if (value !== undefined) report(value, { trigger: name });
        },
      },
      {
        kind: 'counter',
        name: `${PREFIX}.trigger.failures`,
        unit: '{failure}',
        description: 'How often each trigger could not be read.',
        read: (report) => {
          for (const { name, failures } of watches) report(failures, { trigger: name });
        },
      },
      {
        kind: 'counter',
        name: `${PREFIX}.transitions`,
        unit: '{transition}',
        description: 'Moves of the level, by cause.',
        read: (report) => {
          for (const [cause, count] of current.history.counts) report(count, { cause });
        },
      },
    ],
    { enabled },
  );
}
