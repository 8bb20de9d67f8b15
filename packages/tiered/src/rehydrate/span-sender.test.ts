import { ExportError } from '@otel-resilience/core';
import { CircuitBreaker, CircuitBreakerSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { ScriptedExporter } from '@otel-resilience/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { HOUR, many, NOON } from '../../../../test/support/archive.js';
import { RehydrateBed } from './rehydrate-bed.test-support.js';

let bed: RehydrateBed;
beforeEach(async () => {
  bed = new RehydrateBed();
});

/** Objects of ten spans, one an hour, each of which is a request. */
const archived = async (objects: number) => {
  for (let hour = 0; hour < objects; hour++) await bed.archive(many(10, { startMillis: NOON + hour * HOUR }));
};
const attempts = () => bed.to.exports.length;
const elapsed = async (run: Promise<unknown>) => {
  const startedAt = bed.clock.now();
  await run;
  return bed.clock.now() - startedAt;
};

describe('an exporter', () => {
  it('that fails is asked again, ever later, and what it takes in the end is sent once', async () => {
    await archived(2);
    bed.to.script(['retryable', 'refused', 'throw', { kind: 'failed', failure: 'retryable', delivered: 4 }]);
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 20 }, failures: [] });
    const waits = bed.to.exports.slice(1, 5).map(({ at }, index) => at - bed.to.exports[index]!.at);
    // Three quarters of 250, 500 …: jitter is between a half and all.
    expect(waits).toEqual([187.5, 375, 750, 187.5]);
    expect(bed.to.exports.map(({ batch }) => batch.spanCount)).toEqual([10, 10, 10, 10, 6, 10]);
  });

  it('that fails ten times in a row ends the run, after half a minute', async () => {
    await archived(3);
    bed.to.script(['delivered']);
    bed.to.respond('retryable');
    const took = await elapsed(
      (async () => {
        expect(await bed.run()).toMatchObject({
          complete: false,
          interrupted: false,
          error: 'scripted: retryable',
          objects: { done: 1, left: 2 },
          spans: { selected: 20, sent: 10, failed: 10 },
          failures: [{ message: 'scripted: retryable', spans: 10 }],
          resumeFromMillis: NOON + HOUR,
        });
      })(),
    );
    expect(attempts()).toBe(11);
    expect(took).toBeGreaterThan(25_000);
    expect(took).toBeLessThan(60_000);
  });

  it('gets the time it asks for', async () => {
    await archived(1);
    bed.to.script([{ kind: 'failed', failure: 'throttled', retryAfterMillis: 120_000 }]);
    expect(await bed.run()).toMatchObject({ complete: true });
    expect(bed.to.exports[1]!.at - bed.to.exports[0]!.at).toBe(120_000);
  });

  it('that hangs has half a minute, and what it acknowledges afterwards is counted beside', async () => {
    await archived(1);
    bed.to.script([
      { kind: 'delivered', delayMillis: 30_100 },
      { kind: 'delivered', delayMillis: 5_000 },
    ]);
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 10, lateAcknowledged: 10 } });
    expect(bed.to.exports[0]!.context.deadline - bed.to.exports[0]!.at).toBe(30_000);
  });

  it('of the stock that never answers ends the run', async () => {
    await archived(2);
    const stock = new ScriptedExporter({ otherwise: { kind: 'never' }, clock: bed.clock });
    const report = await bed.run({ to: stock });
    expect(report).toMatchObject({ complete: false, spans: { sent: 0, failed: 10 }, objects: { left: 2 } });
    expect(stock.maxOpenExports).toBe(1);
  });

  it('that refuses for good costs what it refuses, until it has refused ten requests in a row', async () => {
    await archived(15);
    bed.to.script(['permanent', 'permanent', 'delivered', { kind: 'delivered', rejected: 10 }]);
    bed.to.respond('permanent');
    expect(await bed.run()).toMatchObject({
      complete: false,
      error: 'scripted: permanent',
      objects: { done: 13, left: 2 },
      spans: { sent: 10, rejected: 120, failed: 10 },
      failures: [
        { message: 'scripted: permanent', spans: 120 },
        { message: 'no reason was given', spans: 10 },
      ],
    });
  });

  it('that shuts down ends the run', async () => {
    await archived(2);
    bed.to.script([{ kind: 'failed', failure: 'shutdown', error: new ExportError('SHUTDOWN', 'stopped') }]);
    expect(await bed.run()).toMatchObject({ error: 'SHUTDOWN: stopped', objects: { left: 2 }, spans: { failed: 10 } });
    expect(attempts()).toBe(1);
  });

  it('with a spool answers for what it stores', async () => {
    await archived(2);
    bed.to.respond('stored');
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 0, stored: 20 } });
  });

  it('has its layers ask once and probe, since what fails is repeated here', async () => {
    await archived(2);
    const breaker = new CircuitBreaker({ clock: bed.clock });
    const guarded = new CircuitBreakerSpanExporter({ exporter: bed.to, breaker, clock: bed.clock });
    const to = new RetryingSpanExporter({ exporter: guarded, clock: bed.clock });
    bed.to.script(Array(6).fill('retryable'));
    expect(await bed.run({ to })).toMatchObject({ complete: true, spans: { sent: 20 } });
    expect(attempts()).toBe(8);
    expect(bed.to.exports.every(({ context }) => context.lastResort)).toBe(true);
    await to.shutdown();
  });
});
