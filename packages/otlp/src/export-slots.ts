import { type Clock, sleep } from '@otel-resilience/core';

/**
 * Bounds how many exports are open at a time. Who comes when all are taken waits its turn, for as long as it has: a
 * stock `BatchSpanProcessor` hands over all it has at once when it is flushed.
 */
export class ExportSlots {
  private readonly clock: Clock;
  private readonly waiting: Array<() => void> = [];
  private free: number;

  constructor(slots: number, clock: Clock) {
    this.free = slots;
    this.clock = clock;
  }

  /** Whether there is one now. */
  tryAcquire(): boolean {
    if (this.free === 0) return false;
    this.free--;
    return true;
  }

  /** `true` when one has become free before the deadline and the signal. */
  async acquire(deadline: number, signal: AbortSignal): Promise<boolean> {
    const turn = new AbortController();
    const taken = () => turn.abort();
    this.waiting.push(taken);
    const onAbort = () => turn.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    await sleep(this.clock, deadline - this.clock.now(), turn.signal);
    signal.removeEventListener('abort', onAbort);
    const place = this.waiting.indexOf(taken);
    if (place >= 0) this.waiting.splice(place, 1);
    return place < 0;
  }

  release(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}
