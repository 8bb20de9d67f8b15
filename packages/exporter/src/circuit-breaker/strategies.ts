import type { CircuitBreakerStrategy, ResolvedOptions } from './options.js';
import { type CallWindow, CountWindow, TimeWindow } from './windows.js';

/** Why a closed breaker opens. */
export type OpenReason = 'failureRate' | 'slowCallRate' | 'consecutiveFailures';

/** A strategy is the set of rules of which any opens the breaker. */
const RULES: Readonly<Record<CircuitBreakerStrategy, readonly OpenReason[]>> = {
  default: ['failureRate', 'consecutiveFailures'],
  failureRate: ['failureRate'],
  consecutive: ['consecutiveFailures'],
  composite: ['failureRate', 'slowCallRate'],
};

// A limit that no count and no share of calls can reach.
const NEVER = Number.POSITIVE_INFINITY;

/** Measures the calls of a closed breaker and says when it should open. */
export class Strategy {
  /** A call that takes longer is slow, under the composite strategy. */
  readonly slowCallMillis: number;
  private readonly window: CallWindow;
  private readonly minimumCalls: number;
  private readonly failureRateLimit: number;
  private readonly slowCallRateLimit: number;
  private readonly consecutiveLimit: number;
  private run = 0;

  constructor(options: ResolvedOptions) {
    const rules = RULES[options.strategy];
    this.window =
      options.window === 'time' ? new TimeWindow(options.windowMillis) : new CountWindow(options.windowSize);
    this.minimumCalls = options.minimumCalls;
    this.failureRateLimit = rules.includes('failureRate') ? options.failureRateThreshold : NEVER;
    this.slowCallRateLimit = rules.includes('slowCallRate') ? options.slowCallRateThreshold : NEVER;
    this.slowCallMillis = rules.includes('slowCallRate') ? options.slowCallDurationMillis : NEVER;
    this.consecutiveLimit = rules.includes('consecutiveFailures') ? options.consecutiveFailures : NEVER;
  }

  /** Takes in `calls` results at once and returns which rule they break, if any. */
  record(now: number, calls: number, failures: number, slow: number): OpenReason | undefined {
    // In a mixed report nobody knows the order, and one success is enough to say that not all failed.
    this.run = calls > failures ? 0 : this.run + failures;
    this.window.add(now, calls, failures, slow);
    if (this.run >= this.consecutiveLimit) return 'consecutiveFailures';
    const { window } = this;
    if (window.failures + window.slow === 0 || window.calls < this.minimumCalls) return undefined;
    if (window.failures >= this.failureRateLimit * window.calls) return 'failureRate';
    if (window.slow >= this.slowCallRateLimit * window.calls) return 'slowCallRate';
    return undefined;
  }

  clear(): void {
    this.run = 0;
    this.window.clear();
  }

  measured(now: number): {
    windowCalls: number;
    failureRate: number;
    slowCallRate: number;
    consecutiveFailures: number;
  } {
    this.window.advance(now);
    const { calls, failures, slow } = this.window;
    return {
      windowCalls: calls,
      failureRate: calls === 0 ? 0 : failures / calls,
      slowCallRate: calls === 0 ? 0 : slow / calls,
      consecutiveFailures: this.run,
    };
  }
}
