import { ConfigurationError, type OptionReader, type PipelineSignals, readOptions } from '@otel-resilience/core';
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
import { writtenAt } from './written-at.js';

type Configured<T extends abstract new (options: never) => Trigger> =
  | boolean
  | Omit<NonNullable<ConstructorParameters<T>[0]>, 'signals'>;

/**
 * What `resilience()` watches. `false` leaves a trigger out, an object changes its options; `true` is the default of all
 * but `pressure`.
 */
export interface TriggerSelection {
  /**
   * Of the container if it has a limit, else of the host: 70, 85, 95 percent in two evaluations in a row, never
   * `emergency`.
   */
  readonly cpu?: Configured<typeof CpuTrigger>;
  /** Of the container if it has a limit, else of the host: 85, 92, 97 percent, never `emergency`. */
  readonly memory?: Configured<typeof MemoryTrigger>;
  /** V8's heap of its limit: 0.75, 0.85, 0.92, 0.97, in two evaluations in a row. */
  readonly heap?: Configured<typeof HeapTrigger>;
  /** Event-loop delay, p99: 100, 250, 500, 1,000 ms, in two evaluations in a row. */
  readonly eventLoop?: Configured<typeof EventLoopTrigger>;
  /** Linux pressure stall information. Default false: it says much of what `cpu` and `memory` say. */
  readonly pressure?: Configured<typeof PressureTrigger>;
  /** p95 of exports of the last minute: 1, 2.5, 5, 10 s, for a minute. */
  readonly latency?: Configured<typeof LatencyTrigger>;
  /** Exports of the last minute that were lost (what waits in the spool is not): 0.05, 0.075, 0.1, 0.2, for a minute. */
  readonly errorRate?: Configured<typeof ErrorRateTrigger>;
  /** Exports of the last minute given up for lack of an answer: 0.05, 0.075, 0.1, 0.2, for a minute. */
  readonly timeoutRate?: Configured<typeof TimeoutRateTrigger>;
  /** Filling of the queue: 0.85, 0.9, 0.95, 0.98. At 0.8 it begins to spill into the spool. */
  readonly queue?: Configured<typeof QueueTrigger>;
  /** Filling of the spool: 0.75, 0.85, 0.92, 0.97. */
  readonly spool?: Configured<typeof SpoolTrigger>;
  /** Answers of the last minute that said "too much" (429, RESOURCE_EXHAUSTED): 1, 5, 20, 60. */
  readonly quota?: Configured<typeof QuotaTrigger>;
  /** Share of the endpoints that is away: 1, for ten minutes; never more than `light`. */
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
  // And never an emergency: it may be the neighbours of an idle service that keep the host busy.
  cpu: (options, { twoEvaluationsMillis }) =>
    new CpuTrigger({ profile: 'alternative', holdForMillis: twoEvaluationsMillis, ...options }),
  // Likewise; and three quarters in use is how a host is meant to be.
  memory: (options) =>
    new MemoryTrigger({
      ...options,
      thresholds: { light: 85, moderate: 92, heavy: 97, emergency: NEVER, ...options.thresholds },
    }),
  // In two evaluations in a row: it fills until the garbage is collected.
  heap: (options, { twoEvaluationsMillis }) => new HeapTrigger({ holdForMillis: twoEvaluationsMillis, ...options }),
  // Likewise: it is blocked once while a module is loaded.
  eventLoop: (options, { twoEvaluationsMillis }) =>
    new EventLoopTrigger({ name: 'eventLoop', holdForMillis: twoEvaluationsMillis, ...options }),
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
  // What a minute's outage leaves in it is what it is for.
  spool: (options, { signals }) =>
    new SpoolTrigger({
      ...options,
      thresholds: { light: 0.75, moderate: 0.85, heavy: 0.92, emergency: 0.97, ...options.thresholds },
      signals,
    }),
  quota: (options, { signals }) => new QuotaTrigger({ ...options, signals }),
  // Half of them away is what failover is for, all of them what the spool is for; and how full that is, it says itself.
  endpoints: (options, { signals }) =>
    new EndpointTrigger({
      holdForMillis: 600_000,
      ...options,
      thresholds: { light: 1, moderate: NEVER, heavy: NEVER, emergency: NEVER, ...options.thresholds },
      signals,
    }),
};

const NEVER = Number.POSITIVE_INFINITY;
const OFF_BY_DEFAULT: ReadonlySet<string> = new Set(['pressure'] satisfies (keyof TriggerSelection)[]);

export function defaultTriggers(selection: TriggerSelection = {}, surroundings: Surroundings): Trigger[] {
  const names = Object.keys(MAKERS) as (keyof TriggerSelection)[];
  return names.flatMap((name) => {
    const choice = selection[name] ?? !OFF_BY_DEFAULT.has(name);
    if (choice === false) return [];
    const options = choice === true ? {} : choice;
    return [writtenAt(`resilience.degradation.triggers.${name}`, () => MAKERS[name](options, surroundings))];
  });
}

const choice: OptionReader<boolean | object | undefined> = (value, path) => {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (value === undefined || typeof value === 'boolean' || isObject) return value as boolean | object | undefined;
  throw new ConfigurationError(path, 'true, false, or the options of this trigger', value);
};

const SELECTION = Object.fromEntries(Object.keys(MAKERS).map((name) => [name, choice]));

/** The options of a trigger are read by its constructor. */
export const triggerSelection: OptionReader<TriggerSelection> = (value, path) => readOptions(path, value, SELECTION);
