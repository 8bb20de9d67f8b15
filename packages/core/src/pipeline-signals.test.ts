import { describe, expect, it } from 'vitest';
import { PipelineSignals } from './pipeline-signals.js';

describe('PipelineSignals', () => {
  it('reads a gauge at the moment somebody asks, and not before', () => {
    const signals = new PipelineSignals();
    let reads = 0;
    let queueSize = 1;
    signals.publish('queueSize', () => {
      reads++;
      return queueSize;
    });
    expect(reads).toBe(0);
    expect(signals.read('queueSize')).toBe(1);
    queueSize = 5;
    expect(signals.read('queueSize')).toBe(5);
    expect(reads).toBe(2);
  });

  it('takes the highest of several publishers, negative ones too', () => {
    const signals = new PipelineSignals();
    for (const value of [-3, -1, -2]) signals.publish('queueUtilization', () => value);
    expect(signals.read('queueUtilization')).toBe(-1);
  });

  it('knows nothing of a gauge that nobody publishes or has a number for', () => {
    const signals = new PipelineSignals();
    signals.publish('exportErrorRate', () => Number.NaN);
    signals.publish('queueSize', () => 3);
    expect(signals.read('spoolSize')).toBeUndefined();
    expect(signals.read('exportErrorRate')).toBeUndefined();
    expect(signals.snapshot()).toEqual({ queueSize: 3 });
  });

  it('prefers a number over none, whichever was published first', () => {
    const signals = new PipelineSignals();
    signals.publish('spoolSize', () => 0);
    signals.publish('spoolSize', () => Number.NaN);
    expect(signals.read('spoolSize')).toBe(0);
  });

  it('forgets a publisher that has taken its gauge away, and only that one', () => {
    const signals = new PipelineSignals();
    const unpublish = signals.publish('spoolSize', () => 9);
    signals.publish('spoolSize', () => 4);
    unpublish();
    unpublish();
    expect(signals.read('spoolSize')).toBe(4);
  });

  it('tells listeners that something has moved, until they are taken away', () => {
    const signals = new PipelineSignals();
    let told = 0;
    signals.changed();
    const off = signals.onChange(() => told++);
    signals.changed();
    off();
    signals.changed();
    expect(told).toBe(1);
  });

  it('lets a listener that throws hurt neither the layer that speaks nor the other listeners', () => {
    const signals = new PipelineSignals();
    let told = 0;
    signals.onChange(() => {
      throw new Error('no');
    });
    signals.onChange(() => told++);
    expect(() => signals.changed()).not.toThrow();
    expect(told).toBe(1);
  });
});
