import { VirtualClock } from '@otel-resilience/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SampleSource } from './sample-source.js';
import { Sampling } from './sampling.js';

const INTERVAL = 1_000;

class ScriptedSource implements SampleSource {
  samples = 0;
  closed = 0;
  next: () => Promise<void> = async () => {};

  sample(): Promise<void> {
    this.samples++;
    return this.next();
  }

  read(): number {
    return this.samples;
  }

  close(): void {
    this.closed++;
  }
}

let clock: VirtualClock;
let source: ScriptedSource;

beforeEach(() => {
  clock = new VirtualClock();
  source = new ScriptedSource();
});

describe('sampling beside the evaluation', () => {
  it('does nothing in the call that starts it, then samples at once and at every interval', async () => {
    const sampling = new Sampling(clock, INTERVAL, async () => source);
    expect(source.samples).toBe(0);
    expect(sampling.read()).toBeUndefined();
    await clock.advance(0);
    expect(sampling.read()).toBe(1);
    await clock.advance(2 * INTERVAL);
    expect(sampling.read()).toBe(3);
  });

  it('takes its second sample sooner by its phase, and all others an interval apart', async () => {
    const sampling = new Sampling(clock, INTERVAL, async () => source, 0.25);
    await clock.advance(0);
    await clock.advance(0.75 * INTERVAL - 1);
    expect(source.samples).toBe(1);
    await clock.advance(1);
    expect(source.samples).toBe(2);
    await clock.advance(INTERVAL - 1);
    expect(source.samples).toBe(2);
    await clock.advance(1);
    expect(source.samples).toBe(3);
    sampling.stop();
  });

  it('leaves no timer and an open source behind, also when stopped in the middle of opening it', async () => {
    const sampling = new Sampling(clock, INTERVAL, async () => source);
    await clock.advance(0);
    sampling.stop();
    expect(clock.pendingTimers).toBe(0);
    expect(source.closed).toBe(1);

    let opened: (source: SampleSource) => void = () => {};
    const early = new Sampling(clock, INTERVAL, () => new Promise((resolve) => (opened = resolve)));
    await clock.advance(0);
    early.stop();
    opened(source);
    await clock.advance(INTERVAL);
    expect(source.closed).toBe(2);
    expect(source.samples).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('fails while samples fail, and recovers with the first that succeeds', async () => {
    const sampling = new Sampling(clock, INTERVAL, async () => source);
    source.next = () => Promise.reject(new Error('EACCES'));
    await clock.advance(0);
    expect(() => sampling.read()).toThrow('EACCES');
    source.next = async () => {};
    await clock.advance(INTERVAL);
    expect(sampling.read()).toBe(2);
  });

  it('opens a source anew that could not be opened', async () => {
    let attempts = 0;
    const sampling = new Sampling(clock, INTERVAL, async () => {
      if (++attempts < 3) throw new Error('not yet');
      return source;
    });
    await clock.advance(INTERVAL);
    expect(() => sampling.read()).toThrow('not yet');
    await clock.advance(INTERVAL);
    expect(sampling.read()).toBe(1);
  });

  it('does not ask again what hangs, and says so when a sample is overdue', async () => {
    const sampling = new Sampling(clock, INTERVAL, async () => source);
    source.next = () => new Promise(() => {});
    await clock.advance(7_000);
    expect(source.samples).toBe(1);
    expect(sampling.read()).toBe(1);
    await clock.advance(2_000);
    expect(() => sampling.read()).toThrow('no sample for 9000 ms');
    sampling.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
