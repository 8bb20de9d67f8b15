import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { TierSlots } from './tier-slots.js';

function setUp(total: number) {
  const clock = new VirtualClock();
  let freed = 0;
  const slots = new TierSlots(total, clock, () => freed++);
  const { signal } = new AbortController();
  return { clock, slots, signal, freed: () => freed };
}

describe('TierSlots', () => {
  it('hands a freed slot to whoever has waited longest, and only then calls it free', async () => {
    const { clock, slots, signal, freed } = setUp(1);
    expect(slots.tryAcquire()).toBe(true);
    const granted: string[] = [];
    for (const name of ['a', 'b']) slots.acquire(clock.now() + 1_000, signal).then((ok) => ok && granted.push(name));
    expect(slots.tryAcquire()).toBe(false);
    slots.release();
    await clock.settle();
    expect(granted).toEqual(['a']);
    slots.release();
    await clock.settle();
    expect(granted).toEqual(['a', 'b']);
    expect(freed()).toBe(0);
    slots.release();
    expect(freed()).toBe(1);
    expect(slots.tryAcquire()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is offered to replay in every fifth turn, and goes to who waits when replay wants none', async () => {
    const { clock, slots, signal, freed } = setUp(1);
    slots.tryAcquire();
    let granted = 0;
    for (let i = 0; i < 10; i++) slots.acquire(clock.now() + 1_000, signal).then(() => granted++);
    for (let i = 0; i < 10; i++) slots.release();
    await clock.settle();
    expect(granted).toBe(10);
    expect(freed()).toBe(2);
    expect(slots.full).toBe(true);
  });

  it('never gives a slot to one who has gone: at the deadline, on abort, or turned away', async () => {
    const { clock, slots, signal } = setUp(1);
    slots.tryAcquire();
    const abort = new AbortController();
    const late = slots.acquire(clock.now() + 100, signal);
    const aborted = slots.acquire(clock.now() + 9_000, abort.signal);
    const turnedAway = slots.acquire(clock.now() + 9_000, signal);
    await clock.advance(100);
    expect(await late).toBe(false);
    abort.abort();
    expect(await aborted).toBe(false);
    slots.turnAway();
    expect(await turnedAway).toBe(false);
    expect(await slots.acquire(clock.now() + 9_000, abort.signal)).toBe(false);
    slots.release();
    expect(slots.tryAcquire()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});
