import { LimitedLog } from './limited-log.js';

/** The gauges that layers publish and that triggers, `status()` and metrics read. */
export interface PipelineGauges {
  /** Filling of the processor's queue, 0 to 1: the higher of spans and bytes. */
  queueUtilization: number;
  /** Spans in the queue. */
  queueSize: number;
  /** Filling of the spool, 0 to 1. */
  spoolUtilization: number;
  /** Spans waiting in the spool. */
  spoolSize: number;
  /** Share of endpoints whose breaker is not closed, 0 to 1. */
  failedEndpoints: number;
  /** 95th percentile of recent export durations, in milliseconds. */
  exportLatencyP95Millis: number;
  /** Share of recent exports that failed, 0 to 1. */
  exportErrorRate: number;
  /** Share of recent exports that timed out, 0 to 1. */
  exportTimeoutRate: number;
  /** Exports answered with a throttle so far. */
  throttledExports: number;
}

export type PipelineGauge = keyof PipelineGauges;

/**
 * Where feedback runs: a layer publishes a gauge as a function that is called when somebody reads it, so publishing
 * costs nothing. Several layers may publish the same gauge; the highest value counts.
 */
export class PipelineSignals {
  private readonly sources = new Map<PipelineGauge, Set<() => number>>();
  private readonly listeners = new Set<() => void>();
  private readonly log = new LimitedLog('PipelineSignals');

  /** Returns the function that takes the gauge away again. */
  publish(gauge: PipelineGauge, read: () => number): () => void {
    const sources = this.sources.get(gauge) ?? new Set();
    this.sources.set(gauge, sources.add(read));
    return () => sources.delete(read);
  }

  /**
   * For layers: a gauge may have moved a good deal. Called when a batch was sealed, stored or settled, not per span;
   * costs next to nothing while nobody listens. Never throws: a layer calls this in the middle of an export.
   */
  changed(): void {
    for (const listener of this.listeners) {
      try {
        listener();
      } catch (thrown) {
        this.log.warn('listener', () => `a listener threw: ${thrown}`);
      }
    }
  }

  /** `listener` must be quick. Returns the function that takes it away again. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The highest published value, or `undefined` when nobody publishes this gauge or nobody has a number yet. */
  read(gauge: PipelineGauge): number | undefined {
    let highest: number | undefined;
    for (const source of this.sources.get(gauge) ?? []) {
      const value = source();
      if (Number.isFinite(value) && (highest === undefined || value > highest)) highest = value;
    }
    return highest;
  }

  snapshot(): Partial<PipelineGauges> {
    const values: Partial<PipelineGauges> = {};
    for (const gauge of this.sources.keys()) {
      const value = this.read(gauge);
      if (value !== undefined) values[gauge] = value;
    }
    return values;
  }
}
