import { type DegradationLevel, isActive, type LevelSource } from '@otel-resilience/core';

/** What a level makes of batch size and batch wait: factors, 1 when it leaves them alone. */
export interface BatchScale {
  readonly size: number;
  readonly wait: number;
}

export const UNSCALED: BatchScale = Object.freeze({ size: 1, wait: 1 });

const FACTOR: Readonly<Record<DegradationLevel, number>> = {
  normal: 1,
  light: 1.5,
  moderate: 2,
  heavy: 3,
  emergency: 4,
};

/**
 * Fewer and larger requests while the application or the receiver is under pressure: a batch has a cost of its own at
 * both ends, whatever it holds. Strategies `increaseBatchSize` and `increaseBatchWait`.
 */
export function batchScaleAt(controller: LevelSource, level: DegradationLevel): BatchScale {
  const factor = FACTOR[level] ?? 1; // a level that a user's own controller made up
  return {
    size: isActive(controller, 'increaseBatchSize') ? factor : 1,
    wait: isActive(controller, 'increaseBatchWait') ? factor : 1,
  };
}
