import { ConfigurationError, type OptionReader, type PipelineSignals } from '@otel-resilience/core';
import {
  CpuTrigger,
  EndpointTrigger,
  ErrorRateTrigger,
  EventLoopTrigger,
  HeapTrigger,
  LatencyTrigger,
  MemoryTrigger,
  PressureTrigger,
  QueueTrigger,
  QuotaTrigger,
  SpoolTrigger,
  TimeoutRateTrigger,
  type Trigger,
  type TriggerOptions,
} from '@otel-resilience/degradation';

type Configured<T extends abstract new (options: never) => Trigger> =
  | boolean
  | Omit<NonNullable<ConstructorParameters<T>[0]>, 'signals'>;

/**
 * What `resilience()` watches. `false` leaves a trigger out, an object changes its options; `true` is the default of all
 * but `pressure`.
 */
export interface TriggerSelection {
  /** Of the container if it has a limit, else of the host. */
  readonly cpu?: Configured<typeof CpuTrigger>;
  /** Likewise. */
  readonly memory?: Configured<typeof MemoryTrigger>;
  readonly heap?: Configured<typeof HeapTrigger>;
  /** Event-loop delay. */
  readonly eventLoop?: Configured<typeof EventLoopTrigger>;
  /** Linux pressure stall information. Default false: it says much of what `cpu` and `memory` say. */
  readonly pressure?: Configured<typeof PressureTrigger>;
  readonly latency?: Configured<typeof LatencyTrigger>;
  readonly errorRate?: Configured<typeof ErrorRateTrigger>;
  readonly timeoutRate?: Configured<typeof TimeoutRateTrigger>;
  readonly queue?: Configured<typeof QueueTrigger>;
  readonly spool?: Configured<typeof SpoolTrigger>;
  readonly quota?: Configured<typeof QuotaTrigger>;
  readonly endpoints?: Configured<typeof EndpointTrigger>;
}

/** What the defaults depend on. */
interface Surroundings {
  readonly signals: PipelineSignals;
  /** From one evaluation to the next, or a little less, since timers jitter. */
  readonly twoEvaluationsMillis: number;
}

type Maker = (options: TriggerOptions, surroundings: Surroundings) => Trigger;

/**
 * Where these differ from the trigger's own defaults, it is because the preset has a spool and a second endpoint: what
 * they take care of is no reason to trace less.
 */
const MAKERS: Readonly<Record<keyof TriggerSelection, Maker>> = {
  // Busy for two evaluations in a row: a burst is what CPUs are for.
  cpu: (options, { twoEvaluationsMillis }) => new CpuTrigger({ holdForMillis: twoEvaluationsMillis, ...options }),
  memory: (options) => new MemoryTrigger(options),
  // Likewise: it fills until the garbage is collected.
  heap: (options, { twoEvaluationsMillis }) => new HeapTrigger({ holdForMillis: twoEvaluationsMillis, ...options }),
  eventLoop: (options) => new EventLoopTrigger(options),
  pressure: (options) => new PressureTrigger(options),
  // Up to a second it is for the batch size to adapt (`targetLatencyMillis`); and a failover is not a slow collector.
  latency: (options, { signals }) =>
    new LatencyTrigger({
      holdForMillis: 60_000,
      ...options,
      thresholds: { light: 1_000, moderate: 2_500, heavy: 5_000, emergency: 10_000, ...options.thresholds },
      signals,
    }),
  // Over a window of 60 s; one export of a quiet service is all of them, and must have left it before the level rises.
  errorRate: (options, { signals }) => new ErrorRateTrigger({ holdForMillis: 60_000, ...options, signals }),
  timeoutRate: (options, { signals }) => new TimeoutRateTrigger({ holdForMillis: 60_000, ...options, signals }),
  // From 80 % on the queue spills into the spool: only when that fails does it fill any further.
  queue: (options, { signals }) =>
    new QueueTrigger({
      ...options,
      thresholds: { light: 0.85, moderate: 0.9, heavy: 0.95, emergency: 0.98, ...options.thresholds },
      signals,
    }),
  spool: (options, { signals }) => new SpoolTrigger({ ...options, signals }),
  quota: (options, { signals }) => new QuotaTrigger({ ...options, signals }),
  // Half of them away is what failover is for, all of them for a minute what the spool is for.
  endpoints: (options, { signals }) => new EndpointTrigger({ holdForMillis: 60_000, ...options, signals }),
};

const OFF_BY_DEFAULT: ReadonlySet<string> = new Set(['pressure'] satisfies (keyof TriggerSelection)[]);

export function defaultTriggers(selection: TriggerSelection = {}, surroundings: Surroundings): Trigger[] {
  const names = Object.keys(MAKERS) as (keyof TriggerSelection)[];
  return names.flatMap((name) => {
    const choice = selection[name] ?? !OFF_BY_DEFAULT.has(name);
    return choice === false ? [] : [MAKERS[name](choice === true ? {} : choice, surroundings)];
  });
}

/** Options of a trigger are read by its constructor. */
export const triggerSelection: OptionReader<TriggerSelection> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigurationError(path, `an object with ${Object.keys(MAKERS).join(', ')}`, value);
  }
  for (const [name, choice] of Object.entries(value)) {
    if (!Object.hasOwn(MAKERS, name)) {
      throw new ConfigurationError(
        `${path}.${name}`,
        `one of ${Object.keys(MAKERS).join(', ')}`,
        `the unknown key ${name}`,
      );
    }
    const isObject = typeof choice === 'object' && choice !== null && !Array.isArray(choice);
    if (choice !== undefined && typeof choice !== 'boolean' && !isObject) {
      throw new ConfigurationError(`${path}.${name}`, 'true, false, or the options of this trigger', choice);
    }
  }
  return { ...value };
};
