import {
  type Clock,
  millis,
  optional,
  type PipelineSignals,
  pipelineSignals,
  positiveInteger,
  systemClock,
} from '@otel-resilience/core';
import { TriggerBase } from '../../trigger-base.js';
import { readTriggerOptions, type TriggerOptions } from '../../trigger-options.js';
import { OutcomeWindow } from './outcome-window.js';

export interface ErrorRateTriggerOptions extends TriggerOptions {
  /** Where the pipeline's layers publish. Default: none, only outcomes of `guard()` count. */
  readonly signals?: PipelineSignals;
  /** Over which time outcomes of `guard()` count, in milliseconds, at least 1,000. Default 60,000. */
  readonly windowMillis?: number;
  /** So many outcomes the window must hold before they count, at least 1. Default 10. */
  readonly minimumCalls?: number;
}

/**
 * The share that failed, of recent exports or of the calls that went through the controller's `guard()`, whichever is
 * higher: 0.05, 0.075, 0.1 and 0.2.
 */
export class ErrorRateTrigger extends TriggerBase {
  readonly signals: PipelineSignals | undefined;
  private readonly minimumCalls: number;
  private readonly outcomes: OutcomeWindow;
  private clock: Clock = systemClock;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: ErrorRateTriggerOptions = {}) {
    const { trigger, own } = readTriggerOptions('ErrorRateTrigger', options, SCHEMA, RULE);
    super(trigger);
    this.signals = own.signals;
    this.minimumCalls = own.minimumCalls;
    this.outcomes = new OutcomeWindow(own.windowMillis);
  }

  start(clock: Clock): void {
    this.clock = clock;
    this.outcomes.clear();
  }

  recordOutcome(ok: boolean): void {
    this.outcomes.add(this.clock.now(), ok);
  }

  read(): number | undefined {
    const ofExports = this.signals?.read('exportErrorRate');
    const ofCalls = this.outcomes.failureRate(this.clock.now(), this.minimumCalls);
    return ofExports === undefined || ofCalls === undefined ? (ofExports ?? ofCalls) : Math.max(ofExports, ofCalls);
  }
}

const SCHEMA = {
  signals: optional(pipelineSignals),
  windowMillis: millis({ default: 60_000, min: 1_000 }),
  minimumCalls: positiveInteger({ default: 10 }),
};

const RULE = {
  name: 'errorRate',
  thresholds: { light: 0.05, moderate: 0.075, heavy: 0.1, emergency: 0.2 },
  max: 1,
  referenceRecoveryThreshold: 0.01,
};
