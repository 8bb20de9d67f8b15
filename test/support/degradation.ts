import { type Clock, ConfigurationError, PipelineSignals } from '@otel-resilience/core';
import { DegradationController, type DegradationControllerOptions, type Trigger } from '@otel-resilience/degradation';
import { VirtualClock } from '@otel-resilience/testing';

/** What a trigger says when it is read next: a value, or a way to fail. */
export type Saying = number | undefined | 'throws' | 'rejects' | 'hangs' | { readonly is: unknown };

/** A trigger that says what it is told to. Asks from 50, 70, 85 and 95 on; is calm below 40. */
export class ScriptedTrigger implements Trigger {
  readonly name: string;
  readonly thresholds = { light: 50, moderate: 70, heavy: 85, emergency: 95 };
  readonly immediate: boolean;
  readonly holdForMillis: number;
  says: Saying = 0;
  reads = 0;
  readonly outcomes: boolean[] = [];
  readonly calls: string[] = [];
  private readonly settle: Array<(value: number) => void> = [];

  constructor({ name = 'load', immediate = false, holdForMillis = 0 } = {}) {
    this.name = name;
    this.immediate = immediate;
    this.holdForMillis = holdForMillis;
  }

  read(): number | undefined | Promise<number | undefined> {
    this.reads++;
    const { says } = this;
    if (says === 'throws') throw new Error('out of order');
    if (says === 'rejects') return Promise.reject(new Error('out of order'));
    if (says === 'hangs') return new Promise((resolve) => this.settle.push(resolve));
    return typeof says === 'object' ? (says.is as number) : says;
  }

  /** Ends what hangs. */
  answer(value: number): void {
    for (const settle of this.settle.splice(0)) settle(value);
  }

  start(_: Clock, evaluationIntervalMillis: number): void {
    this.calls.push(`start every ${evaluationIntervalMillis}`);
  }

  stop(): void {
    this.calls.push('stop');
  }

  recordOutcome(ok: boolean): void {
    this.outcomes.push(ok);
  }
}

/** A clock whose monotonic time jumps too; timers go off when they would have. */
export class JumpingClock extends VirtualClock {
  private offset = 0;

  jump(byMillis: number): void {
    this.offset += byMillis;
  }

  override now(): number {
    return super.now() + this.offset;
  }
}

/** A controller that has been started, over one scripted trigger unless others are given. */
export function started(options: Partial<DegradationControllerOptions> = {}) {
  const clock = new JumpingClock();
  const signals = new PipelineSignals();
  const load = new ScriptedTrigger();
  const controller = new DegradationController({ triggers: [load], signals, clock, metrics: false, ...options });
  controller.start();
  return { clock, signals, load, controller };
}

/** The `ConfigurationError` with which something was refused. */
export function refusal(attempt: () => unknown): ConfigurationError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
