import { type Clock, DEGRADATION_LEVELS, type DegradationLevel, isThenable } from '@otel-resilience/core';
import type { Trigger, TriggerThresholds } from './trigger.js';
import { RAISED_LEVELS } from './trigger-options.js';

/** A trigger as the controller has copied it: only the methods are still called on the original. */
export interface WatchedTrigger {
  readonly trigger: Trigger;
  readonly name: string;
  readonly thresholds: TriggerThresholds;
  readonly recoveryThreshold: number;
  readonly holdForMillis: number;
  readonly immediate: boolean;
}

export interface TriggerStatus {
  readonly name: string;
  /** As last read; `undefined` while there is nothing to say. */
  readonly value: number | undefined;
  /** The level its value asks for, `holdForMillis` left aside. */
  readonly asks: DegradationLevel;
  /** Below its recovery threshold, so that it lets the level go down. */
  readonly recovered: boolean;
  /** Why it could not be read last time; it keeps what it said before. */
  readonly failing?: string;
  /** How often it could not be read so far. */
  readonly failures: number;
  readonly thresholds: TriggerThresholds;
  readonly recoveryThreshold: number;
}

interface PendingRead {
  readonly answered: Promise<void>;
  /** Nobody waits any longer; what comes is out of date. */
  givenUp: boolean;
}

/** One trigger and what it last said. A failure changes none of that: it moves the level neither up nor down. */
export class TriggerWatch {
  readonly watched: WatchedTrigger;
  value: number | undefined;
  /** The rank its value asks for. */
  asks = 0;
  /** The rank it has asked for without a break for `holdForMillis`: the one that counts. */
  counts = 0;
  calm = true;
  failing: string | undefined;
  failures = 0;
  private readonly clock: Clock;
  private readonly onFailure: (watch: TriggerWatch) => void;
  /** For each rank, since when it has been asked for, or for a higher one. */
  private readonly askedSince: (number | undefined)[] = [];
  private pending: PendingRead | undefined;

  constructor(watched: WatchedTrigger, clock: Clock, onFailure: (watch: TriggerWatch) => void) {
    this.watched = watched;
    this.clock = clock;
    this.onFailure = onFailure;
  }

  get name(): string {
    return this.watched.name;
  }

  /** The threshold of the level that counts; `undefined` when that is normal. */
  get threshold(): number | undefined {
    return this.counts === 0 ? undefined : this.watched.thresholds[RAISED_LEVELS[this.counts - 1]!];
  }

  /** Reads the trigger; the promise, if it takes one, never rejects. One that hangs is not called again. */
  read(): Promise<void> | undefined {
    if (this.pending?.givenUp) this.fail('it has not answered yet');
    if (this.pending) return this.pending.givenUp ? undefined : this.pending.answered;
    try {
      const value: unknown = this.watched.trigger.read();
      if (!isThenable(value)) this.take(value);
      else return this.wait(value);
    } catch (thrown) {
      this.fail(describe(thrown));
    }
    return undefined;
  }

  /** Waits no longer: what still comes is not used. With a reason, that is a failure. */
  giveUp(reason?: string): void {
    if (!this.pending || this.pending.givenUp) return;
    this.pending.givenUp = true;
    if (reason !== undefined) this.fail(reason);
  }

  /** Forgets what the trigger has said; not how often it has failed. */
  reset(): void {
    this.giveUp();
    this.value = undefined;
    this.asks = 0;
    this.counts = 0;
    this.calm = true;
    this.failing = undefined;
    this.askedSince.length = 0;
  }

  fail(reason: string): void {
    this.failing = reason;
    this.failures++;
    this.onFailure(this);
  }

  status(): TriggerStatus {
    const { value, asks, calm, failing, failures, watched } = this;
    return {
      name: watched.name,
      value,
      asks: DEGRADATION_LEVELS[asks]!,
      recovered: calm,
      ...(failing === undefined ? {} : { failing }),
      failures,
      thresholds: watched.thresholds,
      recoveryThreshold: watched.recoveryThreshold,
    };
  }

  private wait(value: PromiseLike<unknown>): Promise<void> {
    const settle = (act: () => void) => {
      this.pending = undefined;
      if (!pending.givenUp) act();
    };
    const answered = Promise.resolve(value).then(
      (answer) => settle(() => this.take(answer)),
      (thrown) => settle(() => this.fail(describe(thrown))),
    );
    const pending: PendingRead = { answered, givenUp: false };
    this.pending = pending;
    return answered;
  }

  private take(value: unknown): void {
    if (value !== undefined && !Number.isFinite(value)) {
      this.fail(`it returned ${typeof value === 'number' ? value : typeof value}, not a finite number`);
      return;
    }
    const { thresholds, recoveryThreshold } = this.watched;
    this.value = value as number | undefined;
    this.failing = undefined;
    this.asks = this.value === undefined ? 0 : rankAskedFor(this.value, thresholds);
    this.calm = this.value === undefined || this.value < recoveryThreshold;
    this.hold();
  }

  private hold(): void {
    const { asks, askedSince, watched } = this;
    const now = this.clock.now();
    this.counts = 0;
    for (let rank = 1; rank < DEGRADATION_LEVELS.length; rank++) {
      // A clock that went back begins the hold anew.
      const since = rank <= asks ? Math.min(askedSince[rank] ?? now, now) : undefined;
      askedSince[rank] = since;
      if (since !== undefined && now - since >= watched.holdForMillis) this.counts = rank;
    }
  }
}

function rankAskedFor(value: number, thresholds: TriggerThresholds): number {
  let rank = 0;
  while (rank < RAISED_LEVELS.length && value >= thresholds[RAISED_LEVELS[rank]!]) rank++;
  return rank;
}

/** Never throws, whatever was thrown. */
function describe(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return 'it threw something that cannot be shown';
  }
}
