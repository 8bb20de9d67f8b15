import { metrics } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { manualMetrics } from '../../../../test/support/metrics.js';
import { RecordingProcessor, TracedProcess } from '../../../../test/support/tail-sampling.js';
import { TailSamplingSpanProcessor } from './tail-sampling-span-processor.js';

afterEach(() => metrics.disable());

describe('self-observability', () => {
  it('says what is held and what was decided, until it is shut down', async () => {
    const { provider, points } = manualMetrics();
    metrics.setGlobalMeterProvider(provider);
    const tail = new TailSamplingSpanProcessor({ next: new RecordingProcessor(), maxHeldTraces: 2 });
    const process = new TracedProcess(tail);
    process.end(process.root(), { isError: true });
    process.end(process.root({ sampled: true }));
    const root = process.root();
    process.end(process.child(root));
    const of = async (name: string, attribute = '') =>
      (await points(`otel_resilience.tail_sampling.${name}`)).map(({ attributes, value }) => [
        attributes[`otel_resilience.${attribute}`],
        value,
      ]);
    expect(await of('held.traces')).toEqual([[undefined, 1]]);
    expect(await of('held.spans')).toEqual([[undefined, 1]]);
    expect((await of('held.bytes'))[0]![1]).toBe(tail.stats().held.bytes);
    expect(await of('kept', 'sampling.reason')).toEqual([
      ['error', 1],
      ['slow', 0],
      ['rule', 0],
    ]);
    process.root();
    process.root();
    process.end(root);
    expect(await of('spans', 'sampling.decision')).toEqual([
      ['kept', 1],
      ['passed', 1],
      ['uncounted', 0],
      ['unsampled', 2],
      ['unreadable', 0],
    ]);
    expect(await of('promoted')).toEqual([[undefined, 1]]);
    expect(await of('late')).toEqual([[undefined, 1]]);
    expect(await of('early_decisions', 'tail_sampling.limit')).toEqual([
      ['traces', 1],
      ['bytes', 0],
      ['ttl', 0],
      ['flush', 0],
      ['shutdown', 0],
    ]);
    await tail.shutdown();
    // The SDK repeats the last value it was told: nobody tells it the new one, 0.
    expect(await of('held.traces')).toEqual([[undefined, 2]]);
  });

  it('says nothing when it is not to', async () => {
    const { provider, points } = manualMetrics();
    metrics.setGlobalMeterProvider(provider);
    const tail = new TailSamplingSpanProcessor({ next: new RecordingProcessor(), metrics: false });
    new TracedProcess(tail).root();
    expect(await points('otel_resilience.tail_sampling.held.traces')).toEqual([]);
  });
});
