import { getHeapStatistics } from 'node:v8';
import { TriggerBase } from '../../trigger-base.js';
import { readTriggerOptions, type TriggerOptions } from '../../trigger-options.js';

/** By default 0.75/0.85/0.92/0.97, as for memory. */
export interface HeapTriggerOptions extends TriggerOptions {}

/**
 * V8 heap of this thread: used ÷ limit (`--max-old-space-size`), 0 to 1. Garbage that has not been collected yet counts
 * as used, but V8 collects well before the limit. Throws a `ConfigurationError` for wrong options.
 */
export class HeapTrigger extends TriggerBase {
  constructor(options: HeapTriggerOptions = {}) {
    const { trigger } = readTriggerOptions(
      'HeapTrigger',
      options,
      {},
      {
        name: 'heap',
        thresholds: { light: 0.75, moderate: 0.85, heavy: 0.92, emergency: 0.97 },
        max: 1,
      },
    );
    super(trigger);
  }

  read(): number {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    return used / limit;
  }
}
