import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchOf, setUpScripted } from '../../../test/support/tiered.js';
import { HotTimeout } from './hot-timeout.js';

const learnedAfter = (millis: number): HotTimeout => {
  const timeout = new HotTimeout(5_000);
  timeout.acknowledged(millis);
  return timeout;
};

describe('HotTimeout', () => {
  it.each([
    [20, 5_000],
    [5_000, 5_000],
    [5_001, 10_000],
    [30_000, 10_000],
  ])('after an acknowledgement that took %i ms, is %i ms', (afterMillis, expected) => {
    expect(learnedAfter(afterMillis).millis).toBe(expected);
  });

  it('is never less than was configured, however much that is, nor more than that or 10 s', () => {
    const change = fc.record({ kind: fc.constantFrom('acknowledged', 'unanswered'), millis: fc.nat(40_000) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30_000 }), fc.array(change), (configuredMillis, changes) => {
        const timeout = new HotTimeout(configuredMillis);
        for (const { kind, millis } of changes) {
          timeout[kind](millis);
          expect(timeout.millis).toBeGreaterThanOrEqual(configuredMillis);
          expect(timeout.millis).toBeLessThanOrEqual(Math.max(configuredMillis, 10_000));
          expect(timeout.learnedMillis).toBe(timeout.millis > configuredMillis ? timeout.millis : 0);
        }
      }),
    );
  });

  it('comes back when answers are fast again', () => {
    const timeout = learnedAfter(7_000);
    for (let answer = 0; answer < 14; answer++) timeout.acknowledged(20);
    expect(timeout.millis).toBe(5_000);
  });

  it('does not for a few fast answers among slow ones', () => {
    const timeout = learnedAfter(7_000);
    for (let answer = 0; answer < 5; answer++) timeout.acknowledged(1_500);
    expect(timeout.millis).toBeGreaterThan(7_000);
  });

  it('comes back at once when nothing comes in that time, and not for those who had less', () => {
    const timeout = learnedAfter(7_000);
    timeout.unanswered(5_000);
    expect(timeout.millis).toBe(10_000);
    timeout.unanswered(9_999.9);
    expect(timeout.millis).toBe(5_000);
  });
});

describe('a hot tier that takes longer than hotTimeoutMillis', () => {
  it('is given the time it takes, once a batch that was given up has been acknowledged', async () => {
    const { clock, hot, tiered, send } = setUpScripted({ kind: 'delivered', delayMillis: 7_000 });
    const startedAt = clock.now();
    expect(await clock.run(send())).toMatchObject({ stored: 1 });
    expect(clock.now() - startedAt).toBe(5_000);
    await clock.advance(20_000);
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'up' }, hotTimeoutMillis: 10_000, lateAcknowledged: 1 });
    const before = hot.exports.length;
    for (let batch = 0; batch < 5; batch++) expect(await clock.run(send())).toMatchObject({ delivered: 1 });
    expect(hot.exports.length - before).toBe(5);
    expect(tiered.stats()).toMatchObject({ hotTimeoutMillis: 10_000, lateAcknowledged: 1, spilledSpans: 1 });
  });

  it('is so too when a replay says how long it takes, and nothing is ever acknowledged late', async () => {
    const { clock, hot, tiered, send } = setUpScripted('retryable');
    for (let batch = 0; batch < 20; batch++) await send(1_000);
    hot.respond({ kind: 'delivered', delayMillis: 7_000 });
    await clock.advance(10_000);
    expect(tiered.stats()).toMatchObject({ hotTimeoutMillis: 10_000, lateAcknowledged: 0 });
    expect(await clock.run(send())).toMatchObject({ delivered: 1 });
  });

  it('is not, when only an endpoint within was late', async () => {
    const { hot, tiered } = setUpScripted('delivered');
    const context = { signal: new AbortController().signal, deadline: 1e9 };
    expect(await tiered.exportBatch(batchOf(1), context)).toMatchObject({ delivered: 1 });
    hot.exports[0]!.context.onLateAcknowledgement!(1);
    expect(tiered.stats()).toMatchObject({ hotTimeoutMillis: 5_000, lateAcknowledged: 1 });
  });

  it('keeps its probes for as long as it takes, though others wait for their slots', async () => {
    const { clock, hot, tiered, send } = setUpScripted({ kind: 'delivered', delayMillis: 7_000 }, { slots: 6 });
    await clock.run(send());
    await clock.advance(20_000);
    hot.respond('retryable');
    await send();
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'down' }, hotTimeoutMillis: 10_000 });
    for (let batch = 0; batch < 20; batch++) await send(1_000);
    hot.respond({ kind: 'delivered', delayMillis: 7_000 });
    const before = tiered.stats().lateAcknowledged;
    await clock.advance(60_000);
    expect(tiered.stats()).toMatchObject({ lateAcknowledged: before, spool: { waiting: 0 } });
  });

  it('goes down as before when it swallows everything, but for the first batch', async () => {
    const { clock, hot, tiered, send } = setUpScripted({ kind: 'delivered', delayMillis: 7_000 });
    await clock.run(send());
    await clock.advance(20_000);
    hot.respond('hang');
    const startedAt = clock.now();
    expect(await clock.run(send())).toMatchObject({ stored: 1 });
    expect(clock.now() - startedAt).toBe(10_000);
    expect(tiered.stats()).toMatchObject({ hot: { kind: 'down' }, hotTimeoutMillis: 5_000 });
  });
});
