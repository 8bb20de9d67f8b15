import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { type Clock, integer, oneOf, optional } from '@otel-resilience/core';
import { TriggerBase } from '../../trigger-base.js';
import { readTriggerOptions, type TriggerOptions, type TriggerRule } from '../../trigger-options.js';
import { DelayMeter } from './event-loop/delay-meter.js';

export interface EventLoopTriggerOptions extends TriggerOptions {
  /**
   * `delay` (default): how long what arrives has to wait for the event loop, 99th percentile since the evaluation
   * before, in milliseconds; by default 100/250/500/1,000. `utilization`: share of the time in which the loop was not
   * idle, 0 to 1; by default 0.85/0.92/0.97/0.99.
   */
  readonly measure?: 'delay' | 'utilization';
  /**
   * How often the delay is looked at, in whole milliseconds, from 1 to 1,000; shorter ones may be missed. Default: 200,
   * and 20 while the loop is busy for more than a quarter of the time, but at most a 20th of the evaluation interval.
   * Each look wakes an idle process: every 20 ms costs 0.25 % of a core, every 200 ms 0.03 %.
   */
  readonly resolutionMillis?: number;
}

interface Window {
  readonly startedAt: number;
  readonly utilization: EventLoopUtilization;
  readonly meter: DelayMeter | undefined;
}

const DELAY: TriggerRule = {
  name: 'eventLoopDelay',
  thresholds: { light: 100, moderate: 250, heavy: 500, emergency: 1_000 },
};
const UTILIZATION: TriggerRule = {
  name: 'eventLoopUtilization',
  thresholds: { light: 0.85, moderate: 0.92, heavy: 0.97, emergency: 0.99 },
  max: 1,
};

const MIN_RESOLUTION_MILLIS = 1;
const BUSY_RESOLUTION_MILLIS = 20;
const MAX_RESOLUTION_MILLIS = 1_000;
const IDLE_RESOLUTION_MILLIS = 200;
const BUSY_FROM = 0.25;
const RESOLUTIONS_PER_EVALUATION = 20;
const DEFAULT_EVALUATION_INTERVAL_MILLIS = 30_000;

const SCHEMA = {
  measure: oneOf(['delay', 'utilization'], { default: 'delay' }),
  resolutionMillis: optional(
    integer({ min: MIN_RESOLUTION_MILLIS, max: MAX_RESOLUTION_MILLIS, default: IDLE_RESOLUTION_MILLIS }),
  ),
};

/** The event loop of the thread that starts it. Throws a `ConfigurationError` for wrong options. */
export class EventLoopTrigger extends TriggerBase {
  private readonly measure: 'delay' | 'utilization';
  private readonly resolutionMillis: number | undefined;
  private evaluationIntervalMillis = DEFAULT_EVALUATION_INTERVAL_MILLIS;
  private window: Window | undefined;
  private last: number | undefined;

  constructor(options: EventLoopTriggerOptions = {}) {
    const { trigger, own } = readTriggerOptions('EventLoopTrigger', options, SCHEMA, ({ measure }) =>
      measure === 'delay' ? DELAY : UTILIZATION,
    );
    super(trigger);
    this.measure = own.measure;
    this.resolutionMillis = own.resolutionMillis;
  }

  // Node measures by its own monotonic clock, whatever clock we are handed.
  start(_clock: Clock, evaluationIntervalMillis: number = DEFAULT_EVALUATION_INTERVAL_MILLIS): void {
    if (this.window) return;
    this.evaluationIntervalMillis = evaluationIntervalMillis;
    this.open(0);
  }

  stop(): void {
    this.window?.meter?.stop();
    this.window = undefined;
    this.last = undefined;
  }

  /** Begins a new window, unless the present one is young: then the one before it counts as well. */
  read(): number | undefined {
    const { window } = this;
    if (!window) return undefined;
    const utilization = performance.eventLoopUtilization(window.utilization);
    const value = window.meter ? window.meter.p99Millis(activeMillis(window, utilization)) : utilization.utilization;
    if (performance.now() - window.startedAt < this.evaluationIntervalMillis / 2) {
      // A share of next to no time says nothing; a delay has happened, however little time has passed.
      if (!window.meter) return this.last;
      return this.last === undefined ? value : Math.max(value, this.last);
    }
    this.last = value;
    this.open(utilization.utilization);
    return value;
  }

  private open(utilization: number): void {
    this.window = {
      startedAt: performance.now(),
      utilization: performance.eventLoopUtilization(),
      meter: this.measure === 'delay' ? this.meterFor(utilization) : undefined,
    };
  }

  private meterFor(utilization: number): DelayMeter {
    const adapted = utilization >= BUSY_FROM ? BUSY_RESOLUTION_MILLIS : IDLE_RESOLUTION_MILLIS;
    const most = Math.max(
      MIN_RESOLUTION_MILLIS,
      Math.floor(this.evaluationIntervalMillis / RESOLUTIONS_PER_EVALUATION),
    );
    const resolutionMillis = this.resolutionMillis ?? Math.min(adapted, most);
    const present = this.window?.meter;
    if (present?.resolutionMillis === resolutionMillis) {
      present.reset();
      return present;
    }
    present?.stop();
    return new DelayMeter(resolutionMillis);
  }
}

/** Before the loop runs, Node does not know: then what comes late is taken for a block. */
function activeMillis({ utilization }: Window, { active }: EventLoopUtilization): number {
  return utilization.active + utilization.idle > 0 ? active : Number.POSITIVE_INFINITY;
}
