import { diag } from '@opentelemetry/api';
import { type Clock, systemClock } from './clock.js';

/** Logs through `diag`, at most one line per kind and interval; what was held back is counted in the next line. */
export class LimitedLog {
  private readonly component: string;
  private readonly clock: Clock;
  private readonly intervalMillis: number;
  private readonly kinds = new Map<string, { nextAt: number; heldBack: number }>();

  constructor(
    component: string,
    { clock = systemClock, intervalMillis = 10_000 }: { clock?: Clock; intervalMillis?: number } = {},
  ) {
    this.component = component;
    this.clock = clock;
    this.intervalMillis = intervalMillis;
  }

  /**
   * `kind` comes from the code, never from data, so that the kinds are few. Never throws: neither a logger that does,
   * nor a value that cannot be shown, may end what is being logged about.
   */
  warn(kind: string, message: () => string): void {
    try {
      const now = this.clock.now();
      const state = this.kinds.get(kind) ?? { nextAt: Number.NEGATIVE_INFINITY, heldBack: 0 };
      this.kinds.set(kind, state);
      if (now < state.nextAt) {
        state.heldBack++;
        return;
      }
      const since = state.heldBack > 0 ? ` (and ${state.heldBack} more since the last line)` : '';
      state.nextAt = now + this.intervalMillis;
      state.heldBack = 0;
      diag.warn(`${this.component}: ${message()}${since}`);
    } catch {
      // There is nobody left to tell.
    }
  }
}
