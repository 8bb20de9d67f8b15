import { type PipelineGauge, type PipelineSignals, pipelineSignals } from '@otel-resilience/core';
import { TriggerBase } from '../../trigger-base.js';
import { readTriggerOptions, type TriggerOptions, type TriggerRule } from '../../trigger-options.js';

export interface PipelineTriggerOptions extends TriggerOptions {
  /** Where the pipeline's layers publish. */
  readonly signals: PipelineSignals;
}

/** A trigger whose value is a gauge of {@link PipelineSignals}; while nobody publishes it, it has nothing to say. */
export abstract class GaugeTrigger extends TriggerBase {
  readonly signals: PipelineSignals;
  private readonly gauge: PipelineGauge;

  protected constructor(owner: string, options: PipelineTriggerOptions, rule: TriggerRule, gauge: PipelineGauge) {
    const { trigger, own } = readTriggerOptions(owner, options, { signals: pipelineSignals }, rule);
    super(trigger);
    this.signals = own.signals;
    this.gauge = gauge;
  }

  read(): number | undefined {
    return this.signals.read(this.gauge);
  }
}
