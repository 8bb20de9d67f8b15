import { type DegradationLevel, type LevelSource, type LimitedLog, startLevelSource } from '@otel-resilience/core';

export interface LevelEffectOptions<T> {
  readonly controller: LevelSource;
  /** In force until the controller has been read. */
  readonly initial: T;
  readonly effectAt: (level: DegradationLevel) => T;
  readonly log: LimitedLog;
}

/**
 * What follows from the level in force. It is worked out again when the level changes, so reading it costs one
 * comparison. The controller may be a user's own: when it throws, what was in force last stays so.
 */
export class LevelEffect<T> {
  private readonly options: LevelEffectOptions<T>;
  private effect: T;
  private seenLevel: DegradationLevel | undefined;
  private isStarted = false;

  constructor(options: LevelEffectOptions<T>) {
    this.options = options;
    this.effect = options.initial;
  }

  /** Starts the controller, at the first call. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    startLevelSource(this.options.controller, (thrown) => this.warn(thrown));
  }

  get current(): T {
    this.follow();
    return this.effect;
  }

  get level(): DegradationLevel {
    this.follow();
    return this.seenLevel ?? 'normal';
  }

  private follow(): void {
    try {
      const { level } = this.options.controller;
      if (level === this.seenLevel) return;
      this.effect = this.options.effectAt(level);
      this.seenLevel = level;
    } catch (thrown) {
      this.warn(thrown);
    }
  }

  private warn(thrown: unknown): void {
    this.options.log.warn('controller', () => `the controller threw: ${thrown}`);
  }
}
