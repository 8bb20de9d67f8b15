import { type Clock, ConfigurationError, oneOf } from '@otel-resilience/core';
import type { TriggerThresholds } from '../../trigger.js';
import { readTriggerOptions, type TriggerRule } from '../../trigger-options.js';
import { CgroupCpuSource } from './cgroup/cgroup-cpu-source.js';
import { hostMonitor } from './host/host-monitor.js';
import { HostCpuSource } from './host/host-source.js';
import { SAMPLED_SCHEMA, SampledTrigger, type SampledTriggerOptions } from './sampled-trigger.js';

export interface CpuTriggerOptions extends SampledTriggerOptions {
  /**
   * `cgroup`: of the process's container, v1 or v2, as a share of its quota (the tightest ancestor counts); says nothing
   * without a quota. `host`: of the machine, through `systeminformation` (to be left outside of a bundle). `auto`
   * (default): `cgroup` if there is a quota below the number of CPUs, else `host`; decided at the start and shown by
   * `source`.
   */
  readonly source?: 'auto' | 'host' | 'cgroup';
  /**
   * `usage` (default): CPU time used, in percent. `throttling`: scheduler periods in which the container was throttled,
   * in percent of those in which it ran; only of a cgroup, and by default at 25/50/75/90, of which the first is the
   * threshold of Kubernetes' `CPUThrottlingHigh` alert.
   */
  readonly measure?: 'usage' | 'throttling';
  /** The thresholds of `usage` for what `thresholds` does not give: 70/80/90/95, or `alternative` 70/85/95 and never. */
  readonly profile?: 'default' | 'alternative';
}

const USAGE: Record<'default' | 'alternative', TriggerThresholds> = {
  default: { light: 70, moderate: 80, heavy: 90, emergency: 95 },
  alternative: { light: 70, moderate: 85, heavy: 95, emergency: Number.POSITIVE_INFINITY },
};
const THROTTLING: TriggerThresholds = { light: 25, moderate: 50, heavy: 75, emergency: 90 };

const SCHEMA = {
  ...SAMPLED_SCHEMA,
  source: oneOf(['auto', 'host', 'cgroup'], { default: 'auto' }),
  measure: oneOf(['usage', 'throttling'], { default: 'usage' }),
  profile: oneOf(['default', 'alternative'], { default: 'default' }),
};

/** CPU in percent, averaged since the evaluation before. Throws a `ConfigurationError` for wrong options. */
export class CpuTrigger extends SampledTrigger {
  private readonly from: 'auto' | 'host' | 'cgroup';
  private readonly measure: 'usage' | 'throttling';

  constructor(options: CpuTriggerOptions = {}) {
    const { trigger, own } = readTriggerOptions('CpuTrigger', options, SCHEMA, ({ measure, profile }): TriggerRule => {
      if (measure === 'throttling') return { name: 'cpuThrottling', thresholds: THROTTLING, max: 100 };
      return { name: 'cpu', thresholds: USAGE[profile], max: 100, referenceRecoveryThreshold: 60 };
    });
    if (own.measure === 'throttling' && own.source === 'host') {
      throw new ConfigurationError('CpuTrigger.source', 'auto or cgroup with the measure throttling', own.source);
    }
    super(trigger, own);
    this.from = own.measure === 'throttling' ? 'cgroup' : own.source;
    this.measure = own.measure;
  }

  protected async open(clock: Clock) {
    if (this.from !== 'host') {
      const source = new CgroupCpuSource(this.files, this.measure, clock);
      if (this.from === 'cgroup') return { kind: 'cgroup' as const, source };
      await source.sample();
      if (source.isLimited) return { kind: 'cgroup' as const, source };
    }
    return { kind: 'host' as const, source: new HostCpuSource(hostMonitor) };
  }
}
