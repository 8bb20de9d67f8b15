import { describe, expect, it } from 'vitest';
import { VirtualClock } from './virtual-clock.js';

describe('VirtualClock', () => {
  it('fires timers in the order of their times, equal ones as they were set, and lets promises settle between', async () => {
    const clock = new VirtualClock({ now: 0 });
    const seen: string[] = [];
    const note = (name: string) => () => {
      seen.push(`${name}@${clock.now()}`);
      Promise.resolve().then(() => seen.push(`${name} settled`));
    };
    clock.setTimeout(note('late'), 20);
    clock.setTimeout(note('first'), 10);
    clock.setTimeout(note('second'), 10);
    clock.clearTimeout(clock.setTimeout(note('cleared'), 5));
    await clock.advance(20);
    expect(seen).toEqual(['first@10', 'first settled', 'second@10', 'second settled', 'late@20', 'late settled']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('fires what timers set within the time it moves, and nothing beyond', async () => {
    const clock = new VirtualClock({ now: 0 });
    const seen: number[] = [];
    const tick = () => {
      seen.push(clock.now());
      clock.setTimeout(tick, 4);
    };
    clock.setTimeout(tick, 4);
    await clock.advance(10);
    expect([seen, clock.now(), clock.pendingTimers]).toEqual([[4, 8], 10, 1]);
  });

  it('runs until a promise settles, and fails when no timer leads there', async () => {
    const clock = new VirtualClock({ now: 0 });
    const after = (millis: number) => new Promise<number>((resolve) => clock.setTimeout(() => resolve(millis), millis));
    expect(await clock.run(after(5_000))).toBe(5_000);
    expect(clock.now()).toBe(5_000);
    await expect(clock.run(after(5_000), 1_000)).rejects.toThrow('still pending');
    await expect(clock.run(Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  });

  it('keeps monotonic time apart from wall time', () => {
    const clock = new VirtualClock({ now: 7, wallTime: 1_000 });
    clock.jumpWallTime(-500);
    expect([clock.now(), clock.wallTime()]).toEqual([7, 500]);
  });
});
