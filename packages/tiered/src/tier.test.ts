import { describe, expect, it } from 'vitest';
import { batchOf, setUpScripted } from '../../../test/support/tiered.js';

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
