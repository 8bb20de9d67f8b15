import { ConfigurationError, type LimitedLog } from '@otel-resilience/core';
import type { DegradationTransition } from './transition.js';

/** A trigger could not be read. It has moved nothing. */
export interface TriggerFailureEvent {
  readonly trigger: string;
  /** What it threw, or what else was wrong. */
  readonly error: string;
  /** How often this trigger has failed so far. */
  readonly failures: number;
}

export interface DegradationEvents {
  readonly transition: DegradationTransition;
  readonly triggerFailure: TriggerFailureEvent;
}

export type DegradationEventName = keyof DegradationEvents;

type Listener<E> = (event: E) => unknown;

/** Calls listeners one event after the other, even when a listener causes the next event; what they throw is logged. */
export class Listeners {
  private readonly owner: string;
  private readonly log: LimitedLog;
  private readonly listeners: {
    [N in DegradationEventName]: Set<{ readonly call: Listener<DegradationEvents[N]> }>;
  } = { transition: new Set(), triggerFailure: new Set() };
  private readonly waiting: Array<() => void> = [];
  private emitting = false;

  constructor(owner: string, log: LimitedLog) {
    this.owner = owner;
    this.log = log;
  }

  add<N extends DegradationEventName>(name: N, listener: Listener<DegradationEvents[N]>): () => void {
    if (!Object.hasOwn(this.listeners, name)) {
      throw new ConfigurationError(`${this.owner}.on`, `one of ${Object.keys(this.listeners).join(', ')}`, name);
    }
    if (typeof listener !== 'function') throw new ConfigurationError(`${this.owner}.on`, 'a function', listener);
    // An entry of its own: the same function added twice is called twice, and each is taken away alone.
    const entry = { call: listener };
    this.listeners[name].add(entry);
    return () => {
      this.listeners[name].delete(entry);
    };
  }

  emit<N extends DegradationEventName>(name: N, event: DegradationEvents[N]): void {
    for (const { call } of this.listeners[name]) this.waiting.push(() => this.callOne(name, call, event));
    if (this.emitting) return;
    this.emitting = true;
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) next();
    this.emitting = false;
  }

  private callOne<E>(name: string, call: Listener<E>, event: E): void {
    const warn = (thrown: unknown) => this.log.warn('listener', () => `a ${name} listener failed: ${String(thrown)}`);
    try {
      // An async listener that fails must not end the process with an unhandled rejection.
      Promise.resolve(call(event)).catch(warn);
    } catch (thrown) {
      warn(thrown);
    }
  }
}
