import { CircuitBreaker } from '@otel-resilience/exporter';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { ArchiveWorld, all } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { ObjectStoreError } from './object-store-error.js';
import { RetryingObjectStore } from './retrying-object-store.js';

const world = new ArchiveWorld();

describe('RetryingObjectStore', () => {
  it('tries again what may help, waits what it was asked to, and gives up at the deadline', async () => {
    const clock = new VirtualClock();
    world.store = new MemoryObjectStore({ clock });
    const retrying = new RetryingObjectStore({ store: world.store, clock, random: () => 1 });
    world.store.failNext('put', 'UNAVAILABLE', 3);
    const startedAt = clock.now();
    await clock.run(retrying.put('k', [Buffer.from('x')]));
    expect(clock.now() - startedAt).toBe(100 + 200 + 400);
    world.store.before = () => {
      throw new ObjectStoreError('THROTTLED', 'slow down', { retryAfterMillis: 5_000 });
    };
    await expect(clock.run(retrying.get('k', { maxBytes: 1, deadline: clock.now() + 4_000 }))).rejects.toMatchObject({
      code: 'THROTTLED',
    });
    let asked = 0;
    const asks = world.store.before;
    world.store.before = (operation, key) => (asked++ === 0 ? asks(operation, key) : undefined);
    const before = clock.now();
    await clock.run(retrying.get('k', { maxBytes: 1 }));
    expect(clock.now() - before).toBe(5_000);
    world.store.calls.length = 0;
    await expect(retrying.get('none', { maxBytes: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(world.store.calls).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('goes on with a list where it failed, each key once', async () => {
    for (let i = 0; i < 9; i++) await world.store.put(`k${i}`, []);
    const retrying = new RetryingObjectStore({ store: world.store, initialDelayMillis: 1 });
    let calls = 0;
    world.store.before = (operation) => {
      if (operation === 'list' && ++calls % 2 === 0) throw new ObjectStoreError('UNAVAILABLE', 'as told');
    };
    expect((await all(retrying.list('', { pageSize: 2 }))).map(({ key }) => key)).toEqual(world.store.keys);
  });

  it('asks its breaker, and tells it nothing of what is no fault', async () => {
    const breaker = new CircuitBreaker({ strategy: 'consecutive', consecutiveFailures: 2 });
    const retrying = new RetryingObjectStore({ store: world.store, breaker, maxRetries: 0 });
    for (let i = 0; i < 5; i++) await retrying.get('none', { maxBytes: 1 }).catch(() => {});
    expect(breaker.state).toBe('closed');
    world.store.failNext('head', 'UNAVAILABLE', 2);
    for (let i = 0; i < 2; i++) await retrying.head('k').catch(() => {});
    expect(breaker.state).toBe('open');
    await expect(retrying.head('k')).rejects.toMatchObject({ code: 'REFUSED', failure: 'refused' });
  });

  it('ends a wait at shutdown, and when nobody waits any more', async () => {
    const clock = new VirtualClock();
    world.store = new MemoryObjectStore({ clock });
    const retrying = new RetryingObjectStore({ store: world.store, clock });
    world.store.failNext('head', 'UNAVAILABLE', 9);
    const abort = new AbortController();
    const head = retrying.head('k', { signal: abort.signal });
    const other = retrying.head('k');
    await clock.settle();
    abort.abort(new Error('enough'));
    await expect(head).rejects.toThrow('enough');
    await retrying.shutdown();
    await expect(other).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(clock.pendingTimers).toBe(0);
  });
});
