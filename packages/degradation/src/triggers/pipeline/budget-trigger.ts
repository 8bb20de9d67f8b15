import { callback } from '@otel-resilience/core';
import { TriggerBase } from '../../trigger-base.js';
import { readTriggerOptions, type TriggerOptions } from '../../trigger-options.js';

export interface BudgetTriggerOptions extends TriggerOptions {
  /** What has been spent, as a share of what may be by now: 1 is all of it. `undefined` while nobody knows. */
  readonly spent: () => number | undefined | Promise<number | undefined>;
}

/** The share of a budget that is spent, of money or of errors: 0.8, 0.9, 1 and 1.2. */
export class BudgetTrigger extends TriggerBase {
  private readonly spent: BudgetTriggerOptions['spent'];

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: BudgetTriggerOptions) {
    const { trigger, own } = readTriggerOptions('BudgetTrigger', options, SCHEMA, RULE);
    super(trigger);
    this.spent = own.spent;
  }

  read(): number | undefined | Promise<number | undefined> {
    return this.spent();
  }
}

const SCHEMA = { spent: callback<BudgetTriggerOptions['spent']>() };

const RULE = { name: 'budget', thresholds: { light: 0.8, moderate: 0.9, heavy: 1, emergency: 1.2 } };
