import type { LimitedLog } from '@otel-resilience/core';
import { type BatchScale, batchScaleAt, UNSCALED } from './batch-scale.js';
import { BatchSize, type ExportObservation } from './batch-size.js';
import { BatchWait } from './batch-wait.js';
import { LevelEffect } from './level-effect.js';
import type { ProcessorSettings } from './options.js';
import type { ProcessorStats } from './processor-stats.js';

// What a level may make of the wait. Longer, and a crash would take too much with it.
const MAX_SCALED_WAIT_MILLIS = 30_000;

/**
 * How many spans make a batch and how long it waits for them: what adaptation has found out (`BatchSize`,
 * `BatchWait`), times what the level in force asks for (`BatchScale`), within the bounds of both.
 */
export class BatchShape {
  private readonly maxSize: number;
  private readonly maxWaitMillis: number;
  private readonly adaptedSize: BatchSize;
  private readonly adaptedWait: BatchWait;
  private readonly level: LevelEffect<BatchScale>;
  private scale = UNSCALED;
  private sizeInForce: number;

  constructor(settings: ProcessorSettings, now: number, log: LimitedLog) {
    const { batchSize, wait, adaptive, controller, targetLatencyMillis, adaptationIntervalMillis } = settings;
    const { initial, max } = batchSize;
    this.maxSize = max;
    this.maxWaitMillis = Math.max(MAX_SCALED_WAIT_MILLIS, wait.max);
    this.adaptedSize = new BatchSize(
      {
        ...(adaptive ? batchSize : { initial, min: initial, max: initial }),
        targetLatencyMillis,
        intervalMillis: adaptationIntervalMillis,
      },
      now,
    );
    this.adaptedWait = new BatchWait({ ...wait, min: adaptive ? wait.min : wait.max, worthwhileSpans: batchSize.min });
    this.level = new LevelEffect({
      controller,
      initial: UNSCALED,
      effectAt: (level) => batchScaleAt(controller, level),
      log,
    });
    this.sizeInForce = initial;
  }

  /** Starts the controller; called with the first span that is queued, and later ones. */
  start(): void {
    this.level.start();
  }

  /** Read for every span but those of which there is nothing to do but to add them. */
  get size(): number {
    const scale = this.level.current;
    if (scale !== this.scale) {
      this.scale = scale;
      this.resize();
    }
    return this.sizeInForce;
  }

  get waitMillis(): number {
    return Math.min(this.maxWaitMillis, this.adaptedWait.currentMillis * this.level.current.wait);
  }

  get degradation(): ProcessorStats['degradation'] {
    const { level, current } = this.level;
    return { level, batchSizeFactor: current.size, batchWaitFactor: current.wait };
  }

  /** A batch has left. */
  left(spans: number, now: number): void {
    this.adaptedWait.observe(spans, now);
  }

  /** An export has ended that says something about the receiver. */
  exported(observation: ExportObservation, now: number): void {
    this.adaptedSize.observe(observation, now);
    this.resize();
  }

  private resize(): void {
    this.sizeInForce = Math.min(this.maxSize, Math.round(this.adaptedSize.current * this.scale.size));
  }
}
