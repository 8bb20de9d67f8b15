import type { Trigger, TriggerThresholds } from './trigger.js';
import type { TriggerSettings } from './trigger-options.js';

/** What the triggers of this package share: their settings. */
export abstract class TriggerBase implements Trigger {
  readonly name: string;
  readonly thresholds: TriggerThresholds;
  readonly recoveryThreshold: number;
  readonly referenceRecoveryThreshold: number | undefined;
  readonly holdForMillis: number;

  protected constructor(settings: TriggerSettings) {
    this.name = settings.name;
    this.thresholds = settings.thresholds;
    this.recoveryThreshold = settings.recoveryThreshold;
    this.referenceRecoveryThreshold = settings.referenceRecoveryThreshold;
    this.holdForMillis = settings.holdForMillis;
  }

  abstract read(): number | undefined | Promise<number | undefined>;
}
