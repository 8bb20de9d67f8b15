import { oneOf } from '@otel-resilience/core';
import { readTriggerOptions } from '../../trigger-options.js';
import { CgroupMemorySource } from './cgroup/cgroup-memory-source.js';
import { hostMonitor } from './host/host-monitor.js';
import { HostMemorySource } from './host/host-source.js';
import { SAMPLED_SCHEMA, SampledTrigger, type SampledTriggerOptions } from './sampled-trigger.js';

/** By default 75/85/92/97. */
export interface MemoryTriggerOptions extends SampledTriggerOptions {
  /**
   * `cgroup`: working set (usage − inactive file cache) ÷ limit of the process's container, v1 or v2; the ancestor that is
   * nearest to its limit counts, and without a limit nothing is said. `host`: (total − available) ÷ total of the
   * machine, through `systeminformation`. `auto` (default): `cgroup` if there is a limit below the memory of the
   * machine, else `host`; decided at the start and shown by `source`.
   */
  readonly source?: 'auto' | 'host' | 'cgroup';
}

const SCHEMA = {
  ...SAMPLED_SCHEMA,
  source: oneOf(['auto', 'host', 'cgroup'], { default: 'auto' }),
};

/** Memory in percent. Throws a `ConfigurationError` for wrong options. */
export class MemoryTrigger extends SampledTrigger {
  protected override readonly phase = 0.5;
  private readonly from: 'auto' | 'host' | 'cgroup';

  constructor(options: MemoryTriggerOptions = {}) {
    const { trigger, own } = readTriggerOptions('MemoryTrigger', options, SCHEMA, {
      name: 'memory',
      thresholds: { light: 75, moderate: 85, heavy: 92, emergency: 97 },
      max: 100,
    });
    super(trigger, own);
    this.from = own.source;
  }

  protected async open() {
    if (this.from !== 'host') {
      const source = new CgroupMemorySource(this.files);
      if (this.from === 'cgroup') return { kind: 'cgroup' as const, source };
      await source.sample();
      if (source.isLimited) return { kind: 'cgroup' as const, source };
    }
    return { kind: 'host' as const, source: new HostMemorySource(hostMonitor) };
  }
}
