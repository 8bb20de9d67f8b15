import { deliveredOutcome } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { batch, fail, hang, Leaf, ok, outage, setUp } from '../../../../test/support/failover.js';
import { CircuitBreakerSpanExporter } from '../circuit-breaker/index.js';

describe('throttling', () => {
  it('leaves an endpoint alone until its hint has passed', async () => {
    const { run, clock, asked, a, failover } = setUp([fail('throttled', 5_000), ok]);
    await run();
    a.answer = ok;
    await clock.advance(4_999);
    await run();
    expect(asked()).toEqual([1, 2]);
    expect(failover.endpoints()[0]).toMatchObject({ throttledMillis: 1, state: 'closed' });
    await clock.advance(1);
    await run();
    expect(asked()).toEqual([2, 2]);
  });

  it('asks nobody while all want to be left alone, not even as a last resort, and says for how long', async () => {
    const error = Object.assign(new Error('slow down'), { code: 429 });
    const { run, clock, asked } = setUp([fail('throttled', 5_000, error), fail('throttled', 8_000, error)]);
    const named = { code: 429, message: expect.stringContaining('B: 429: slow down'), cause: expect.anything() };
    expect(await run()).toMatchObject({ failure: 'throttled', retryAfterMillis: 5_000, error: named });
    await clock.advance(1_000);
    for (const lastResort of [false, true]) {
      expect(await run({ lastResort })).toMatchObject({ failure: 'throttled', retryAfterMillis: 4_000, error: named });
    }
    expect(asked()).toEqual([1, 1]);
  });

  it.each([Number.POSITIVE_INFINITY, 1e12, -5, Number.NaN])('never believes a hint of %s for good', async (hint) => {
    const { run, clock, asked } = setUp([fail('throttled', hint), ok]);
    await run();
    await clock.advance(300_000);
    await run();
    expect(asked()[0]).toBe(2);
  });
});

describe('health', () => {
  it('is what the breaker says: a bare endpoint is passed over after 3 failures in a row', async () => {
    const { run, asked, states } = setUp([fail('retryable'), ok]);
    for (let call = 0; call < 5; call++) expect(await run()).toEqual(deliveredOutcome(10));
    expect(asked()).toEqual([3, 5]);
    expect(states()).toEqual(['open', 'closed']);
  });

  it('takes a breaker that an endpoint brings along', async () => {
    const clock = new VirtualClock();
    const leaf = new Leaf();
    const guarded = new CircuitBreakerSpanExporter({ exporter: leaf, clock });
    const { run, states } = setUp([ok, ok], {
      clock,
      endpoints: [
        { name: 'own', exporter: guarded },
        { name: 'B', exporter: new Leaf() },
      ],
    });
    guarded.breaker.trip();
    await run();
    expect(leaf.calls).toHaveLength(0);
    expect(states()).toEqual(['forced-open', 'closed']);
  });

  it('asks once more as a last resort when nobody could be asked, once per 500 ms', async () => {
    const all = setUp([fail('retryable'), fail('retryable')]);
    const { run, asked, clock, a, failover } = all;
    await outage(all);
    await run();
    expect(asked()).toEqual([1, 1]);
    expect(a.calls[0]!.lastResort).toBe(true);
    expect(await run()).toMatchObject({ failure: 'refused', remaining: batch });
    expect(asked()).toEqual([1, 1]);
    await clock.advance(500);
    a.answer = ok;
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(failover.stats().lastResorts).toBe(3);
  });

  it('is no last resort when somebody was asked', async () => {
    const { run, asked, states } = setUp([fail('retryable'), fail('permanent')]);
    for (let call = 0; call < 4; call++) await run();
    expect(states()).toEqual(['open', 'closed']);
    expect(asked()).toEqual([3, 4]);
  });

  it('lets one call at a time find out about an endpoint that swallows what it gets', async () => {
    const { run, send, clock, states, asked, a } = setUp([fail('retryable'), ok]);
    for (let call = 0; call < 3; call++) await run();
    a.answer = hang;
    await clock.advance(30_000);
    const outcomes = Array.from({ length: 10 }, () => send());
    await clock.settle();
    expect(states()).toEqual(['half-open', 'closed']);
    expect(asked()).toEqual([4, 12]);
    // Others follow, so that its recovery does not wait for the first to time out.
    await clock.advance(1_000);
    outcomes.push(send(), send());
    await clock.settle();
    expect(asked()).toEqual([5, 13]);
    await clock.advance(2_000);
    expect(await Promise.all(outcomes)).toEqual(outcomes.map(() => deliveredOutcome(10)));
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives a half-open endpoint all its probes once one has succeeded', async () => {
    const all = setUp([ok, fail('retryable')]);
    await outage(all);
    const { run, send, clock, states, a } = all;
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(states()).toEqual(['half-open', 'open']);
    a.answer = hang;
    const outcomes = Array.from({ length: 6 }, () => send({ deadline: clock.now() + 1_000 }));
    await clock.settle();
    expect(a.calls).toHaveLength(5);
    await clock.advance(1_000);
    await Promise.all(outcomes);
  });
});

describe('panic', () => {
  const four = () => setUp([fail('retryable'), fail('retryable'), fail('retryable'), ok]);

  it('troubles none of the ejected while the few left take the spans', async () => {
    const { run, asked, states, failover } = four();
    for (let call = 0; call < 6; call++) expect(await run()).toEqual(deliveredOutcome(10));
    expect(states()).toEqual(['open', 'open', 'open', 'closed']);
    expect(asked()).toEqual([3, 3, 3, 6]);
    expect(failover.stats().lastResorts).toBe(0);
  });

  it('offers what they do not take to the ejected ones, each at most once, and not again to those who were asked', async () => {
    const { run, asked, a, b, c, d } = four();
    for (let call = 0; call < 3; call++) await run();
    d.answer = fail('permanent');
    expect(await run()).toMatchObject({ failure: 'retryable', remaining: batch });
    expect(asked()).toEqual([4, 4, 4, 4]);
    for (const leaf of [a, b, c]) expect(leaf.calls.at(-1)!.lastResort).toBe(true);
    expect(d.calls.at(-1)!.lastResort).toBeUndefined();
  });

  it.each([1, 2])('leaves %i of 3 endpoints out, however the others fare', async (ejected) => {
    const { run, asked, states, failover, a, b } = setUp([ok, ok, fail('permanent')]);
    for (const leaf of [a, b].slice(0, ejected)) leaf.answer = fail('retryable');
    for (let call = 0; call < 3; call++) await run();
    expect(states().filter((state) => state === 'open')).toHaveLength(ejected);
    const before = asked();
    b.answer = ejected === 1 ? fail('permanent') : b.answer;
    await run();
    expect(asked()).toEqual(before.map((count, index) => (index < ejected ? count : count + 1)));
    expect(failover.stats().lastResorts).toBe(0);
  });
});
