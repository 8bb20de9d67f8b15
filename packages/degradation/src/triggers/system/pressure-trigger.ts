import { oneOf } from '@otel-resilience/core';
import type { TriggerThresholds } from '../../trigger.js';
import { readTriggerOptions } from '../../trigger-options.js';
import {
  cgroupPressurePath,
  hostPressurePath,
  type PressureKind,
  type PressureResource,
  PressureSource,
} from './pressure-source.js';
import { SAMPLED_SCHEMA, SampledTrigger, type SampledTriggerOptions } from './sampled-trigger.js';

/**
 * By default 40/60/80/95 for `cpu` and `io`, and 10/20/40/60 for `memory`, of which the last is where `systemd-oomd`
 * begins to kill (`DefaultMemoryPressureLimit`).
 */
export interface PressureTriggerOptions extends SampledTriggerOptions {
  /** Default `cpu`. */
  readonly resource?: PressureResource;
  /** `some` (default): at least one task had to wait; `full`: all of them had. `full` of the host's CPU is always 0. */
  readonly kind?: PressureKind;
  /** `cgroup`: of the process's container (v2 only). `host`. `auto` (default): `cgroup` if there is one, else `host`. */
  readonly source?: 'auto' | 'host' | 'cgroup';
}

const DEFAULT_THRESHOLDS: Record<PressureResource, TriggerThresholds> = {
  cpu: { light: 40, moderate: 60, heavy: 80, emergency: 95 },
  memory: { light: 10, moderate: 20, heavy: 40, emergency: 60 },
  io: { light: 40, moderate: 60, heavy: 80, emergency: 95 },
};

const SCHEMA = {
  ...SAMPLED_SCHEMA,
  resource: oneOf(['cpu', 'memory', 'io'], { default: 'cpu' }),
  kind: oneOf(['some', 'full'], { default: 'some' }),
  source: oneOf(['auto', 'host', 'cgroup'], { default: 'auto' }),
};

/**
 * Linux pressure stall information: the share of the last 10 s in which tasks had to wait for a resource, in percent.
 * Fails where the kernel has none. Throws a `ConfigurationError` for wrong options.
 */
export class PressureTrigger extends SampledTrigger {
  protected override readonly phase = 0.25;
  private readonly resource: PressureResource;
  private readonly kind: PressureKind;
  private readonly from: 'auto' | 'host' | 'cgroup';

  constructor(options: PressureTriggerOptions = {}) {
    const { trigger, own } = readTriggerOptions('PressureTrigger', options, SCHEMA, ({ resource }) => ({
      name: `${resource}Pressure`,
      thresholds: DEFAULT_THRESHOLDS[resource],
      max: 100,
    }));
    super(trigger, own);
    this.resource = own.resource;
    this.kind = own.kind;
    this.from = own.source;
  }

  protected async open() {
    const path = this.from === 'host' ? undefined : await cgroupPressurePath(this.files, this.resource);
    if (path !== undefined) return { kind: 'cgroup' as const, source: new PressureSource(this.files, path, this.kind) };
    if (this.from === 'cgroup') throw new Error(`no cgroup with ${this.resource}.pressure`);
    const source = new PressureSource(this.files, hostPressurePath(this.resource), this.kind);
    return { kind: 'host' as const, source };
  }
}
