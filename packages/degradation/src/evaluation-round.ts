import type { Clock, Timer } from '@otel-resilience/core';
import type { TriggerWatch } from './trigger-watch.js';

/** Reads many triggers side by side. None is waited for longer than `timeoutMillis`; one round at a time. */
export class EvaluationRound {
  private readonly clock: Clock;
  private readonly timeoutMillis: number;
  private open: { timer: Timer | undefined } | undefined;

  constructor(clock: Clock, timeoutMillis: number) {
    this.clock = clock;
    this.timeoutMillis = timeoutMillis;
  }

  get isOpen(): boolean {
    return this.open !== undefined;
  }

  /** Calls `whenRead` once, at once if no trigger takes a promise; never after `cancel()`. */
  run(watches: readonly TriggerWatch[], whenRead: () => void): void {
    const round: { timer: Timer | undefined } = { timer: undefined };
    this.open = round;
    const answers = watches.map((watch) => watch.read()).filter((answer) => answer !== undefined);
    if (this.open !== round) return; // one has failed, and who heard of it has cancelled the round
    const finish = () => {
      if (this.open !== round) return;
      this.cancel();
      whenRead();
    };
    if (answers.length === 0) {
      finish();
      return;
    }
    round.timer = this.clock.setTimeout(() => {
      for (const watch of watches) watch.giveUp(`no answer within ${this.timeoutMillis} ms`);
      finish();
    }, this.timeoutMillis);
    Promise.all(answers).then(finish);
  }

  cancel(): void {
    this.clock.clearTimeout(this.open?.timer);
    this.open = undefined;
  }
}
