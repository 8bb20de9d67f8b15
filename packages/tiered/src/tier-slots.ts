import type { Clock, Timer } from '@otel-resilience/core';

interface Waiter {
  grant(granted: boolean): void;
}

/** Of this many slots freed while live exports wait, one is offered to replay: else a slow tier would starve it. */
const TURNS = 5;

/**
 * The exports that the tier bears at a time, shared by live traffic and replay. Live exports wait for a slot in
 * turn; a replay takes one that is free and nobody waits for, or that has been offered to it in its turn.
 */
export class TierSlots {
  readonly total: number;
  private readonly clock: Clock;
  private readonly onFree: () => void;
  private taken = 0;
  private turn = 0;
  // In the order they came; a set, so that one that gives up leaves at once.
  private readonly waiters = new Set<Waiter>();

  constructor(total: number, clock: Clock, onFree: () => void) {
    this.total = total;
    this.clock = clock;
    this.onFree = onFree;
  }

  get full(): boolean {
    return this.taken >= this.total;
  }

  get hasWaiters(): boolean {
    return this.waiters.size > 0;
  }

  /** A slot that is freed goes to who waits, so one that is free has nobody waiting for it. */
  tryAcquire(): boolean {
    if (this.full) return false;
    this.taken++;
    return true;
  }

  /** Whether a slot was taken before the deadline, the abort, or {@link turnAway} came. */
  acquire(deadline: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const waiter: Waiter = {
        grant: (granted) => {
          this.waiters.delete(waiter);
          this.clock.clearTimeout(timer);
          signal.removeEventListener('abort', giveUp);
          resolve(granted);
        },
      };
      const giveUp = () => waiter.grant(false);
      timer = this.clock.setTimeout(giveUp, deadline - this.clock.now());
      signal.addEventListener('abort', giveUp, { once: true });
      this.waiters.add(waiter);
    });
  }

  release(): void {
    this.taken--;
    if (this.hasWaiters) this.turn = (this.turn + 1) % TURNS;
    if (!this.hasWaiters || this.turn === 0) this.onFree();
    const [first] = this.waiters;
    if (first && this.tryAcquire()) first.grant(true);
  }

  /** Nobody needs to wait any more: there is nothing to wait for. */
  turnAway(): void {
    for (const waiter of this.waiters) waiter.grant(false);
  }
}
