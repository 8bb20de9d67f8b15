import { metrics } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { ScriptedTrigger, started } from '../../../test/support/degradation.js';
import { manualMetrics } from '../../../test/support/metrics.js';

const LEVEL = 'otel_resilience.degradation.level';

afterEach(() => metrics.disable());

describe('the metrics of the controller', () => {
  it('say the level, what the triggers say, and what has happened', async () => {
    const { provider, points } = manualMetrics();
    const [load, broken] = [new ScriptedTrigger(), new ScriptedTrigger({ name: 'broken' })];
    const { clock, controller } = started({ triggers: [load, broken], metrics: true });
    metrics.setGlobalMeterProvider(provider); // later than the controller
    load.says = 90;
    broken.says = 'throws';
    await clock.advance(30_000);
    controller.force('light');
    const shown = async (name: string) => {
      const all = await points(`otel_resilience.degradation.${name}`);
      return all.map(({ attributes, value }) => [attributes.trigger ?? attributes.cause, value]);
    };
    expect(await shown('level')).toEqual([[undefined, 1]]);
    expect(await shown('automatic_level')).toEqual([[undefined, 3]]);
    expect(await shown('trigger.level')).toEqual([
      ['load', 3],
      ['broken', 0],
    ]);
    expect(await shown('trigger.value')).toEqual([['load', 90]]);
    expect(await shown('trigger.failures')).toEqual([
      ['load', 0],
      ['broken', 1],
    ]);
    expect(await shown('transitions')).toEqual([
      ['trigger', 1],
      ['force', 1],
    ]);
    expect((await points(LEVEL))[0]?.attributes['otel.component.type']).toBe('DegradationController');
    controller.stop();
    controller.force('heavy');
    expect(await shown('level')).toEqual([[undefined, 1]]); // nobody reads it any longer
    controller.start();
    expect((await shown('level')).at(-1)).toEqual([undefined, 3]);
    controller.stop();
  });

  it('may be switched off', async () => {
    const { provider, points } = manualMetrics();
    metrics.setGlobalMeterProvider(provider);
    const { controller } = started({ metrics: false });
    expect(await points(LEVEL)).toEqual([]);
    controller.stop();
  });
});
