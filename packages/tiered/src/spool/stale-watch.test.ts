import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { HEARTBEAT_MILLIS, StaleWatch } from './stale-watch.js';

describe('StaleWatch', () => {
  it('wants six missed heartbeats, however often it looks', async () => {
    const clock = new VirtualClock();
    const watch = new StaleWatch(clock);
    let looks = 0;
    while (!watch.observe('a', '1')) {
      looks++;
      await clock.advance(100);
    }
    expect(looks).toBe((6 * HEARTBEAT_MILLIS) / 100);
    expect(watch.observe('a', '2')).toBe(false);
  });

  it('takes a long time without a look for one missed heartbeat', async () => {
    const clock = new VirtualClock();
    const watch = new StaleWatch(clock);
    const looks = [];
    for (let look = 0; look < 7; look++) {
      looks.push(watch.observe('a', '1'));
      await clock.advance(1e9);
    }
    expect(looks.indexOf(true)).toBe(6);
  });

  it('forgets owners that nobody looks at any more', async () => {
    const clock = new VirtualClock();
    const watch = new StaleWatch(clock);
    for (let owner = 0; owner < 1_000; owner++) {
      watch.observe(`${owner}`, '1');
      await clock.advance(HEARTBEAT_MILLIS);
    }
    expect(watch.size).toBeLessThan(100);
  });
});
