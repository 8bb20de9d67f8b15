import { type Clock, millis, optional, text } from '@otel-resilience/core';
import { TriggerBase } from '../../trigger-base.js';
import type { TriggerOptions, TriggerSettings } from '../../trigger-options.js';
import type { SampleSource } from './sample-source.js';
import { Sampling } from './sampling.js';
import { SystemFiles } from './system-files.js';

export type SignalSource = 'host' | 'cgroup';

/** What triggers that look at the system take, beside their own options. */
export interface SampledTriggerOptions extends TriggerOptions {
  /**
   * How often a sample is taken, in milliseconds, from 10 to 60,000. Default: 0.45 × the controller's evaluation
   * interval, so that each evaluation has one that is younger than half of it; averages are over the time since the
   * evaluation before. Of the host's CPU there is none more often than every 205 ms.
   */
  readonly sampleIntervalMillis?: number;
  /** Where `/proc` and `/sys` are found, for tests. Default `/`. The host's own figures do not come from there. */
  readonly rootDirectory?: string;
}

const MIN_INTERVAL_MILLIS = 10;
const MAX_INTERVAL_MILLIS = 60_000;
const INTERVALS_PER_EVALUATION = 0.45;
const DEFAULT_EVALUATION_INTERVAL_MILLIS = 30_000;

export const SAMPLED_SCHEMA = {
  sampleIntervalMillis: optional(
    millis({ min: MIN_INTERVAL_MILLIS, max: MAX_INTERVAL_MILLIS, default: MAX_INTERVAL_MILLIS }),
  ),
  rootDirectory: (value: unknown, path: string) => optional(text())(value, path) ?? '/',
};

interface SamplingSettings {
  readonly sampleIntervalMillis: number | undefined;
  readonly rootDirectory: string;
}

/** A trigger whose value comes from samples that are taken beside the evaluation. */
export abstract class SampledTrigger extends TriggerBase {
  /** Other than that of other triggers, so that their samples do not make one long stall together. */
  protected readonly phase: number = 0;
  protected readonly files: SystemFiles;
  private readonly sampleIntervalMillis: number | undefined;
  private sampling: Sampling | undefined;
  private decided: SignalSource | undefined;

  protected constructor(settings: TriggerSettings, own: SamplingSettings) {
    super(settings);
    this.files = new SystemFiles(own.rootDirectory);
    this.sampleIntervalMillis = own.sampleIntervalMillis;
  }

  /** Where the values come from; `undefined` until it has been decided, soon after the start. */
  get source(): SignalSource | undefined {
    return this.decided;
  }

  start(clock: Clock, evaluationIntervalMillis: number = DEFAULT_EVALUATION_INTERVAL_MILLIS): void {
    if (this.sampling) return;
    const adapted = INTERVALS_PER_EVALUATION * evaluationIntervalMillis;
    const intervalMillis =
      this.sampleIntervalMillis ?? Math.min(Math.max(adapted, MIN_INTERVAL_MILLIS), MAX_INTERVAL_MILLIS);
    this.decided = undefined;
    const open = async () => {
      const { source, kind } = await this.open(clock);
      this.decided = kind;
      return source;
    };
    this.sampling = new Sampling(clock, intervalMillis, open, this.phase);
  }

  stop(): void {
    this.sampling?.stop();
    this.sampling = undefined;
  }

  /** Throws while samples fail or do not come. */
  read(): number | undefined {
    return this.sampling?.read();
  }

  /** Called at the start, and again at each sample while it rejects. */
  protected abstract open(clock: Clock): Promise<{ readonly kind: SignalSource; readonly source: SampleSource }>;
}
