import { DEGRADATION_LEVELS } from '@otel-resilience/core';

/** What all triggers together say. Levels are ranks, 0 for `normal` to 4 for `emergency`. */
export interface Verdict {
  /** The highest level that any of them asks for. */
  readonly asked: number;
  /** Whether every one is below its recovery threshold. */
  readonly calm: boolean;
}

/**
 * The automatic level, without clocks, timers or triggers: it rises at once to what is asked for, and goes down one
 * level when everything is calm and `recoveryIntervalMillis` have passed since it last moved.
 *
 * Time may jump. Back, and the interval begins anew; forward, and that is worth one step.
 */
export class LevelMachine {
  rank = 0;
  private readonly recoveryIntervalMillis: number;
  private movedAt = Number.NEGATIVE_INFINITY;

  constructor(recoveryIntervalMillis: number) {
    this.recoveryIntervalMillis = recoveryIntervalMillis;
  }

  get level(): (typeof DEGRADATION_LEVELS)[number] {
    return DEGRADATION_LEVELS[this.rank]!;
  }

  /** Whether the level rose. */
  raise(now: number, asked: number): boolean {
    if (asked <= this.rank) return false;
    this.rank = Math.min(asked, DEGRADATION_LEVELS.length - 1);
    this.movedAt = now;
    return true;
  }

  /** Which way the level went, if it did. */
  decide(now: number, { asked, calm }: Verdict): 'raised' | 'recovered' | undefined {
    if (this.raise(now, asked)) return 'raised';
    if (this.rank === 0 || !calm || now < this.recoveryDueAt(now)) return undefined;
    this.rank--;
    this.movedAt = now;
    return 'recovered';
  }

  /** From when on the level may go down; at most one recovery interval from now. */
  recoveryDueAt(now: number): number {
    if (this.rank === 0) return Number.POSITIVE_INFINITY;
    this.movedAt = Math.min(this.movedAt, now);
    return this.movedAt + this.recoveryIntervalMillis;
  }

  reset(): void {
    this.rank = 0;
  }
}
