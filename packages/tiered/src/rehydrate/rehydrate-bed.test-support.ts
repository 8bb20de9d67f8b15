import type { Timer } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';

/**
 * A virtual clock for what also works in the thread pool (gzip, hashes), of which no timer tells: while no timer is set
 * but those that keep the process alive, real time passes.
 */
export class PatientClock extends VirtualClock {
  private readonly due = new Map<Timer, number>();

  override setTimeout(callback: () => void, delayMillis: number, options?: { keepAlive?: boolean }): Timer {
    const timer: Timer = super.setTimeout(() => {
      this.due.delete(timer);
      callback();
    }, delayMillis);
    if (!options?.keepAlive) this.due.set(timer, this.now() + Math.max(0, delayMillis));
    return timer;
  }

  override clearTimeout(timer: Timer | undefined): void {
    if (timer) this.due.delete(timer);
    super.clearTimeout(timer);
  }

  override async run<T>(promise: Promise<T>, limitMillis = 30 * 86_400_000): Promise<T> {
    let open = true;
    const close = () => {
      open = false;
    };
    promise.then(close, close);
    const until = this.now() + limitMillis;
    for (;;) {
      await this.settle();
      if (!open) return promise;
      const next = Math.min(...this.due.values());
      if (next > until && next !== Number.POSITIVE_INFINITY) throw new Error(`still pending after ${limitMillis} ms`);
      if (next === Number.POSITIVE_INFINITY) await new Promise((resolve) => setImmediate(resolve));
      else await this.advance(Math.max(0, next - this.now()));
    }
  }
}
