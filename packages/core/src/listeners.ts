import type { LimitedLog } from './limited-log.js';
import { ConfigurationError } from './options.js';

type Listener<E> = (event: E) => unknown;

/**
 * The listeners of a component, by the name of the event. Calls them one event after the other, even when a listener
 * causes the next event; what they throw is logged.
 */
export class Listeners<Events extends object> {
  private readonly owner: string;
  private readonly log: LimitedLog;
  private readonly listeners: Map<keyof Events, Set<{ readonly call: Listener<never> }>>;
  private readonly waiting: Array<() => void> = [];
  private emitting = false;

  constructor(owner: string, names: readonly (keyof Events & string)[], log: LimitedLog) {
    this.owner = owner;
    this.log = log;
    this.listeners = new Map(names.map((name) => [name, new Set()]));
  }

  /** Returns the function that takes the listener away. Throws a `ConfigurationError` for another event or no function. */
  add<N extends keyof Events & string>(name: N, listener: Listener<Events[N]>): () => void {
    const listeners = this.listeners.get(name);
    if (!listeners) {
      throw new ConfigurationError(`${this.owner}.on`, `one of ${[...this.listeners.keys()].join(', ')}`, name);
    }
    if (typeof listener !== 'function') throw new ConfigurationError(`${this.owner}.on`, 'a function', listener);
    // An entry of its own: the same function added twice is called twice, and each is taken away alone.
    const entry = { call: listener };
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
    };
  }

  emit<N extends keyof Events & string>(name: N, event: Events[N]): void {
    const listeners = this.listeners.get(name)!;
    if (listeners.size === 0) return;
    for (const { call } of listeners) this.waiting.push(() => this.callOne(name, call as Listener<Events[N]>, event));
    if (this.emitting) return;
    this.emitting = true;
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) next();
    this.emitting = false;
  }

  private callOne<E>(name: string, call: Listener<E>, event: E): void {
    const warn = (thrown: unknown) => this.log.warn('listener', () => `a ${name} listener failed: ${String(thrown)}`);
    try {
      const returned = call(event);
      // An async listener that fails must not end the process with an unhandled rejection.
      if (isThenable(returned)) returned.then(undefined, warn);
    } catch (thrown) {
      warn(thrown);
    }
  }
}

/** Whether it can be waited for: a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
