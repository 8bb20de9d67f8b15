import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { Pace } from './pace.js';

const never = new AbortController().signal;

describe('Pace', () => {
  it('lets through no more than the rate, from the first turn on', async () => {
    const clock = new VirtualClock();
    const pace = new Pace(100, clock);
    const start = clock.now();
    const turns: number[] = [];
    const run = (async () => {
      for (let turn = 0; turn < 5; turn++) {
        await pace.turn(pace.maxSpans, never);
        turns.push(clock.now() - start);
      }
    })();
    await clock.advance(2_000);
    await run;
    expect(turns).toEqual([0, 250, 500, 750, 1_000]);
  });

  it('does not make up for time in which there was nothing to send', async () => {
    const clock = new VirtualClock();
    const pace = new Pace(100, clock);
    await clock.advance(10_000);
    expect(await pace.turn(25, never)).toBe(true);
    const second = pace.turn(25, never);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(250);
    expect(await second).toBe(true);
  });

  it('ends a wait when it is interrupted, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const pace = new Pace(1, clock);
    const interruption = new AbortController();
    expect(await pace.turn(1, interruption.signal)).toBe(true);
    const waiting = pace.turn(1, interruption.signal);
    interruption.abort();
    expect(await waiting).toBe(false);
    expect(await pace.turn(1, interruption.signal)).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it('without a rate makes nobody wait', async () => {
    const clock = new VirtualClock();
    const pace = new Pace(undefined, clock);
    for (let turn = 0; turn < 100; turn++) expect(await pace.turn(1_000_000, never)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});
