import { type Clock, type DegradationLevel, type LimitedLog, type Listeners, rankOf } from '@otel-resilience/core';
import type { DegradationEvents } from './events.js';
import { ForcedLevel, type ForcedLevelStatus, type ForceOptions } from './forced-level.js';
import type { LevelMachine } from './level-machine.js';
import {
  type DegradationTransition,
  type TransitionCause,
  TransitionHistory,
  type TransitionReason,
} from './transition.js';

/** The level that everybody reads: the forced one, else `normal` with `monitorOnly`, else the automatic one. */
export class LevelInForce {
  level: DegradationLevel = 'normal';
  rank = 0;
  readonly history: TransitionHistory = new TransitionHistory();
  private readonly automatic: LevelMachine;
  private readonly monitorOnly: boolean;
  private readonly clock: Clock;
  private readonly listeners: Listeners<DegradationEvents>;
  private readonly log: LimitedLog;
  private readonly byHand: ForcedLevel;

  constructor(
    automatic: LevelMachine,
    { monitorOnly, clock }: { readonly monitorOnly: boolean; readonly clock: Clock },
    listeners: Listeners<DegradationEvents>,
    log: LimitedLog,
  ) {
    this.automatic = automatic;
    this.monitorOnly = monitorOnly;
    this.clock = clock;
    this.listeners = listeners;
    this.log = log;
    this.byHand = new ForcedLevel(clock);
  }

  get automaticRank(): number {
    return this.automatic.rank;
  }

  get forced(): ForcedLevelStatus | undefined {
    return this.byHand.status;
  }

  force(level: DegradationLevel, options: ForceOptions): void {
    this.byHand.set(level, options, () => this.follow('expiry'));
    this.follow('force');
  }

  release(): void {
    this.byHand.clear();
    this.follow('release');
  }

  /** Ends a force, and the automatic level begins anew. */
  stop(): void {
    const from = this.automatic.level;
    this.byHand.clear();
    this.automatic.reset();
    this.follow('stop', from);
  }

  /** Brings the level up to date, and records what has moved: it, or only the automatic level underneath. */
  follow(cause: TransitionCause, automaticFrom = this.automatic.level, reason?: TransitionReason): void {
    const from = this.level;
    const automaticTo = this.automatic.level;
    const to = this.forced?.level ?? (this.monitorOnly ? 'normal' : automaticTo);
    this.level = to;
    this.rank = rankOf(to);
    if (from !== to) this.record({ from, to, cause, ...reason, inForce: true });
    else if (automaticFrom !== automaticTo) {
      this.record({ from: automaticFrom, to: automaticTo, cause, ...reason, inForce: false });
    }
  }

  private record(moved: Omit<DegradationTransition, 'time'>): void {
    const transition = Object.freeze({ time: this.clock.wallTime(), ...moved });
    this.history.add(transition);
    if (moved.inForce && rankOf(moved.to) > rankOf(moved.from)) this.log.warn('raised', () => described(transition));
    this.listeners.emit('transition', transition);
  }
}

/** Traces become fewer, and somebody will look for them: the one line that says why. */
function described({ from, to, cause, trigger, value, threshold }: DegradationTransition): string {
  const why = trigger === undefined ? cause : `${trigger} is ${rounded(value)}, over ${threshold}`;
  return `the level rises from ${from} to ${to}: ${why}`;
}

const rounded = (value = Number.NaN): number =>
  Math.abs(value) < 1_000 ? Number(value.toPrecision(4)) : Math.round(value);
