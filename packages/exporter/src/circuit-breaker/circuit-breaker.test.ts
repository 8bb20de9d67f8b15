import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { BreakerOpenError } from './breaker-open-error.js';
import { CircuitBreaker, isCircuitBreaker } from './circuit-breaker.js';
import type { CircuitBreakerOptions } from './options.js';

function setUp(options: CircuitBreakerOptions = {}) {
  const clock = new VirtualClock();
  const breaker = new CircuitBreaker({ clock, ...options });
  const fail = (times: number) => repeat(times, () => breaker.tryAcquire()!.failure());
  const succeed = (times: number) => repeat(times, () => breaker.tryAcquire()!.success());
  return { clock, breaker, fail, succeed };
}

function repeat(times: number, action: () => void) {
  for (let i = 0; i < times; i++) action();
}

describe('a closed breaker', () => {
  it('opens at the fifth failure in a row, and a success in between starts the row over', () => {
    const { breaker, fail, succeed } = setUp({ minimumCalls: 1_000 });
    fail(4);
    succeed(1);
    fail(4);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  it('opens when half of at least ten calls have failed', () => {
    const { breaker, fail, succeed } = setUp({ strategy: 'failureRate' });
    fail(9);
    expect(breaker.state).toBe('closed');
    succeed(1);
    expect(breaker.state).toBe('open');
  });

  it('stays closed below the rate', () => {
    const { breaker, fail, succeed } = setUp({ strategy: 'failureRate' });
    repeat(50, () => {
      succeed(2);
      fail(1);
    });
    expect(breaker.state).toBe('closed');
    expect(breaker.metrics().failureRate).toBeCloseTo(1 / 3);
  });

  it('forgets failures that have left the time window, also when nobody called meanwhile', async () => {
    const { clock, breaker, fail } = setUp({ strategy: 'failureRate' });
    fail(9);
    await clock.advance(60_000);
    expect(breaker.metrics()).toMatchObject({ windowCalls: 0, failureRate: 0, failed: 9 });
    fail(9);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  it('judges the last calls only, with a count window', async () => {
    const { clock, breaker, fail, succeed } = setUp({ strategy: 'failureRate', window: 'count', windowSize: 10 });
    succeed(100);
    fail(4);
    await clock.advance(3_600_000);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  it('opens on slow calls under the composite strategy only', () => {
    const slow = { durationMillis: 1_001 };
    const composite = setUp({ strategy: 'composite' }).breaker;
    repeat(2, () => composite.tryAcquire()!.success({ durationMillis: 1_000 }));
    repeat(8, () => composite.tryAcquire()!.success(slow));
    expect(composite.state).toBe('open');
    const plain = setUp().breaker;
    repeat(100, () => plain.tryAcquire()!.success(slow));
    expect(plain.state).toBe('closed');
  });

  it('reads the clock at most once for a permit', () => {
    let reads = 0;
    const virtual = new VirtualClock();
    const clock = Object.assign(Object.create(virtual) as VirtualClock, {
      now: () => {
        reads++;
        return virtual.now();
      },
    });
    const options: CircuitBreakerOptions[] = [
      {},
      { window: 'count' },
      { strategy: 'composite' },
      { preset: 'patient' },
    ];
    for (const breaker of options.map((more) => new CircuitBreaker({ clock, ...more }))) {
      for (const settle of ['success', 'failure', 'release'] as const) {
        reads = 0;
        breaker.tryAcquire()![settle]();
        expect(reads).toBeLessThanOrEqual(1);
      }
    }
  });

  it('never sets a timer', async () => {
    const { clock, breaker, fail } = setUp();
    fail(5);
    await clock.advance(30_000);
    breaker.tryAcquire();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a permit', () => {
  it('counts once, however often and however it is settled', () => {
    const { breaker } = setUp({ consecutiveFailures: 2 });
    const permit = breaker.tryAcquire()!;
    permit.failure();
    permit.failure();
    permit.success();
    permit.release();
    expect(breaker.state).toBe('closed');
    expect(breaker.metrics()).toMatchObject({ total: 1, ok: 0, failed: 1, released: 0, inFlight: 0 });
  });

  it('of an earlier state is counted and changes no state', async () => {
    const { clock, breaker, fail, succeed } = setUp();
    const early = [breaker.tryAcquire()!, breaker.tryAcquire()!, breaker.tryAcquire()!];
    fail(5);
    for (const permit of early) permit.success();
    expect(breaker.state).toBe('open');
    const late = setUp({ consecutiveFailures: 1 });
    const old = late.breaker.tryAcquire()!;
    late.breaker.reset();
    old.failure();
    expect(late.breaker.state).toBe('closed');
    await clock.advance(30_000);
    succeed(3);
    expect(breaker.metrics()).toMatchObject({ ok: 6, failed: 5, inFlight: 0, state: 'closed' });
  });

  it('that is released says nothing', () => {
    const { breaker, fail } = setUp();
    fail(4);
    breaker.tryAcquire()!.release();
    expect(breaker.metrics()).toMatchObject({ released: 1, windowCalls: 4, consecutiveFailures: 4 });
    fail(1);
    expect(breaker.state).toBe('open');
  });
});

describe('an open breaker', () => {
  it('refuses until its time has passed, and refused calls are no failures', async () => {
    const { clock, breaker, fail } = setUp();
    fail(5);
    expect(breaker.openUntil).toBe(clock.now() + 30_000);
    await clock.advance(29_999);
    expect(breaker.isCallPermitted).toBe(false);
    expect(breaker.tryAcquire()).toBeUndefined();
    expect(breaker.metrics()).toMatchObject({ total: 6, failed: 5, rejected: 1 });
    await clock.advance(1);
    expect(breaker.isCallPermitted).toBe(true);
    expect(breaker.state).toBe('open');
    expect(breaker.tryAcquire()).toBeDefined();
    expect(breaker.state).toBe('half-open');
    expect(breaker.openUntil).toBeUndefined();
  });

  it('stays open twice as long after every failed half-open, up to the cap, until it has been closed', async () => {
    const { clock, breaker, fail, succeed } = setUp();
    const openTime = () => breaker.openUntil! - clock.now();
    fail(5);
    for (const expected of [30_000, 60_000, 120_000, 120_000]) {
      expect(openTime()).toBe(expected);
      await clock.advance(expected);
      fail(3);
    }
    await clock.advance(120_000);
    succeed(3);
    expect(breaker.state).toBe('closed');
    fail(5);
    expect(openTime()).toBe(30_000);
  });

  it('starts anew with an empty window after closing', async () => {
    const { clock, breaker, fail, succeed } = setUp({ strategy: 'failureRate' });
    fail(10);
    await clock.advance(30_000);
    succeed(3);
    expect(breaker.metrics()).toMatchObject({ state: 'closed', windowCalls: 0, consecutiveFailures: 0 });
    fail(9);
    expect(breaker.state).toBe('closed');
  });
});

describe('a half-open breaker', () => {
  async function halfOpen(options: CircuitBreakerOptions = {}) {
    const all = setUp(options);
    all.fail(5);
    await all.clock.advance(30_000);
    return all;
  }

  it('admits five probes and no sixth, whether in flight or settled', async () => {
    const { breaker } = await halfOpen();
    const probes = [1, 2, 3, 4, 5].map(() => breaker.tryAcquire()!);
    expect(probes.every(Boolean)).toBe(true);
    expect(breaker.isCallPermitted).toBe(false);
    expect(breaker.tryAcquire()).toBeUndefined();
    probes[0]!.success();
    expect(breaker.tryAcquire()).toBeUndefined();
    probes[1]!.release();
    expect(breaker.isCallPermitted).toBe(true);
    expect(breaker.tryAcquire()).toBeDefined();
  });

  it('closes at the third success', async () => {
    const { breaker, succeed, fail } = await halfOpen();
    succeed(2);
    fail(2);
    expect(breaker.state).toBe('half-open');
    succeed(1);
    expect(breaker.state).toBe('closed');
  });

  it('reopens as soon as three successes are out of reach', async () => {
    const { breaker, succeed, fail } = await halfOpen();
    succeed(2);
    fail(2);
    expect(breaker.state).toBe('half-open');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  it('reopens at the first failure when asked to', async () => {
    const { breaker, succeed, fail } = await halfOpen({ reopenOnFirstFailure: true });
    succeed(2);
    fail(1);
    expect(breaker.state).toBe('open');
  });

  it('counts a probe that is not settled within 10 s as failed, and ignores what it says later', async () => {
    const { clock, breaker } = await halfOpen();
    const hung = [1, 2, 3].map(() => breaker.tryAcquire()!);
    const reopened = clock.now() + 10_000;
    await clock.advance(9_999);
    expect(breaker.isCallPermitted).toBe(true);
    await clock.advance(1);
    expect(breaker.isCallPermitted).toBe(false);
    expect(breaker.tryAcquire()).toBeUndefined();
    expect(breaker.openUntil).toBe(reopened + 60_000);
    for (const permit of hung) permit.success();
    expect(breaker.metrics()).toMatchObject({ state: 'open', ok: 0, failed: 8, inFlight: 0 });
  });

  it('has used up a probe that has expired, also before anybody looks', async () => {
    const { clock, breaker } = await halfOpen({ halfOpenPermits: 2, halfOpenSuccesses: 1 });
    breaker.tryAcquire();
    await clock.advance(5_000);
    breaker.tryAcquire();
    await clock.advance(5_000);
    expect(breaker.isCallPermitted).toBe(false);
    expect(breaker.tryAcquire()).toBeUndefined();
  });

  it('reopens as of when the probes expired, so that a breaker nobody asked meanwhile is not late', async () => {
    const { clock, breaker } = await halfOpen();
    repeat(3, () => breaker.tryAcquire());
    await clock.advance(10_000 + 60_000 - 1);
    expect(breaker.isCallPermitted).toBe(false);
    await clock.advance(1);
    expect(breaker.isCallPermitted).toBe(true);
    expect(breaker.tryAcquire()).toBeDefined();
    expect(breaker.metrics()).toMatchObject({ state: 'half-open', stateChanges: 4 });
  });

  it('is never stuck by probes that say nothing', async () => {
    const { breaker, succeed } = await halfOpen();
    repeat(100, () => breaker.tryAcquire()!.release());
    succeed(3);
    expect(breaker.state).toBe('closed');
  });

  it('takes a slow probe for a failed one under the composite strategy', async () => {
    const { clock, breaker } = setUp({ strategy: 'composite', minimumCalls: 1 });
    breaker.tryAcquire()!.failure();
    await clock.advance(30_000);
    repeat(3, () => breaker.tryAcquire()!.success({ durationMillis: 5_000 }));
    expect(breaker.state).toBe('open');
    expect(breaker.metrics()).toMatchObject({ ok: 3, failed: 1 });
  });
});

describe('a last-resort call', () => {
  it('gets one probe per 500 ms out of an open breaker', async () => {
    const { clock, breaker, fail } = setUp();
    fail(5);
    const admitted: number[] = [];
    const start = clock.now();
    for (let i = 0; i < 30; i++) {
      const permit = breaker.tryAcquire({ lastResort: true });
      if (permit) admitted.push(clock.now() - start);
      permit?.failure();
      await clock.advance(100);
    }
    expect(admitted).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500]);
    expect(breaker.state).toBe('open');
  });

  it('that fails keeps ordinary calls out for the open time, but does not make that grow', async () => {
    const { clock, breaker, fail } = setUp();
    fail(5);
    await clock.advance(29_000);
    breaker.tryAcquire({ lastResort: true })!.failure();
    expect(breaker.openUntil).toBe(clock.now() + 30_000);
    await clock.advance(30_000);
    expect(breaker.isCallPermitted).toBe(true);
    fail(3);
    expect(breaker.openUntil).toBe(clock.now() + 60_000);
    breaker.tryAcquire({ lastResort: true })!.failure();
    expect(breaker.openUntil).toBe(clock.now() + 60_000);
  });

  it('that succeeds lets ordinary calls in at once, and counts towards closing', () => {
    const { breaker, fail, succeed } = setUp();
    fail(5);
    breaker.tryAcquire({ lastResort: true })!.success();
    expect(breaker.state).toBe('half-open');
    expect(breaker.isCallPermitted).toBe(true);
    succeed(1);
    expect(breaker.state).toBe('half-open');
    succeed(1);
    expect(breaker.state).toBe('closed');
  });

  it('closes a breaker that asks for one success', () => {
    const { breaker, fail } = setUp({ halfOpenSuccesses: 1 });
    const states: string[] = [];
    breaker.on('stateChange', ({ to }) => states.push(to));
    fail(5);
    breaker.tryAcquire({ lastResort: true })!.success();
    expect(states).toEqual(['open', 'half-open', 'closed']);
  });

  it('may overlap hanging ones, up to the permits, and those do not undo a recovery', async () => {
    const { clock, breaker, fail, succeed } = setUp();
    fail(5);
    const hanging = [];
    for (let i = 0; i < 4; i++) {
      hanging.push(breaker.tryAcquire({ lastResort: true })!);
      await clock.advance(500);
    }
    const fifth = breaker.tryAcquire({ lastResort: true })!;
    await clock.advance(500);
    expect(breaker.tryAcquire({ lastResort: true })).toBeUndefined();
    fifth.success();
    for (const probe of hanging) probe.failure();
    expect(breaker.state).toBe('half-open');
    succeed(2);
    expect(breaker.state).toBe('closed');
  });

  it('gets another slot when a hanging one has expired', async () => {
    const { clock, breaker, fail } = setUp({ halfOpenPermits: 1, openMillis: 60_000 });
    fail(5);
    breaker.tryAcquire({ lastResort: true });
    await clock.advance(9_999);
    expect(breaker.tryAcquire({ lastResort: true })).toBeUndefined();
    await clock.advance(1);
    expect(breaker.tryAcquire({ lastResort: true })).toBeDefined();
    expect(breaker.state).toBe('open');
  });
});

describe('control by hand', () => {
  it('trip() refuses every call, last-resort ones too, until reset() or enable()', async () => {
    const { clock, breaker } = setUp();
    breaker.trip();
    await clock.advance(3_600_000);
    expect(breaker.state).toBe('forced-open');
    expect(breaker.isCallPermitted).toBe(false);
    expect(breaker.tryAcquire({ lastResort: true })).toBeUndefined();
    breaker.enable();
    expect(breaker.state).toBe('closed');
    breaker.trip();
    breaker.reset();
    expect(breaker.tryAcquire()).toBeDefined();
  });

  it.each(['disable', 'metricsOnly'] as const)('%s() lets every call pass and never opens', (method) => {
    const { breaker, fail } = setUp();
    fail(5);
    breaker[method]();
    fail(100);
    expect(breaker.state).toBe(method === 'disable' ? 'disabled' : 'metrics-only');
    expect(breaker.isCallPermitted).toBe(true);
    expect(breaker.metrics()).toMatchObject({ failed: 105, windowCalls: method === 'disable' ? 5 : 105 });
    breaker.enable();
    fail(4);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
    breaker.enable();
    expect(breaker.state).toBe('open');
  });

  it('asked for a second time, changes nothing: calls in flight still count', () => {
    const { breaker } = setUp();
    breaker.metricsOnly();
    const permit = breaker.tryAcquire()!;
    breaker.metricsOnly();
    permit.failure();
    expect(breaker.metrics()).toMatchObject({ windowCalls: 1, stateChanges: 1 });
  });

  it('reset() closes, and forgets the window, the row and the back-off', async () => {
    const { clock, breaker, fail } = setUp();
    fail(5);
    await clock.advance(30_000);
    fail(3);
    breaker.reset();
    expect(breaker.metrics()).toMatchObject({ state: 'closed', windowCalls: 0, consecutiveFailures: 0, failed: 8 });
    fail(4);
    breaker.reset();
    fail(4);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.openUntil).toBe(clock.now() + 30_000);
  });
});

describe('recordBatch', () => {
  it('counts towards the rules of a closed breaker', () => {
    const rate = setUp({ strategy: 'failureRate' }).breaker;
    rate.recordBatch({ successes: 95, failures: 94 });
    expect(rate.state).toBe('closed');
    rate.recordBatch({ failures: 1 });
    expect(rate.state).toBe('open');
    const row = setUp().breaker;
    row.recordBatch({ failures: 4 });
    row.recordBatch({ successes: 96, failures: 4 });
    row.recordBatch({ failures: 4 });
    expect(row.state).toBe('closed');
    row.recordBatch({ failures: 1 });
    expect(row.state).toBe('open');
    expect(row.metrics()).toMatchObject({ total: 109, ok: 96, failed: 13, inFlight: 0 });
  });

  it('moves no other state, since nobody knows when the calls were made', async () => {
    const { clock, breaker, fail } = setUp();
    fail(5);
    breaker.recordBatch({ successes: 100 });
    expect(breaker.state).toBe('open');
    await clock.advance(30_000);
    breaker.tryAcquire();
    breaker.recordBatch({ successes: 100, failures: 100 });
    expect(breaker.state).toBe('half-open');
  });

  it.each([{ successes: -1 }, { failures: 0.5 }, { failures: Number.NaN }, { errors: 1 }, null])(
    'refuses %j',
    (results) => {
      const { breaker } = setUp();
      expect(() => breaker.recordBatch(results as never)).toThrow(/^CircuitBreaker\.recordBatch/);
      expect(breaker.metrics().total).toBe(0);
    },
  );
});

describe('call', () => {
  it('returns what the function returns, sync or async, and passes on what it throws', async () => {
    const { breaker } = setUp();
    expect(await breaker.call(() => 1)).toBe(1);
    expect(await breaker.call(async () => 2)).toBe(2);
    const error = new Error('sync');
    await expect(
      breaker.call(() => {
        throw error;
      }),
    ).rejects.toBe(error);
    await expect(breaker.call(() => Promise.reject(error))).rejects.toBe(error);
    expect(breaker.metrics()).toMatchObject({ total: 4, ok: 2, failed: 2, inFlight: 0 });
  });

  it('rejects with a BreakerOpenError and does not make the call when the breaker refuses', async () => {
    const { breaker, fail } = setUp({ name: 'collector A' });
    fail(5);
    let called = false;
    const refused = breaker.call(() => {
      called = true;
    });
    await expect(refused).rejects.toThrow('collector A is open');
    await expect(refused).rejects.toBeInstanceOf(BreakerOpenError);
    await expect(refused).rejects.toMatchObject({ name: 'BreakerOpenError', code: 'BREAKER_OPEN', state: 'open' });
    expect(called).toBe(false);
  });

  it('measures the duration for the slow-call rate', async () => {
    const { clock, breaker } = setUp({ strategy: 'composite', minimumCalls: 1 });
    await breaker.call(() => clock.advance(2_000));
    expect(breaker.state).toBe('open');
  });
});

it('metrics account for every call that asked', async () => {
  const { clock, breaker, fail, succeed } = setUp();
  succeed(4);
  breaker.tryAcquire()!.release();
  fail(5);
  repeat(2, () => breaker.tryAcquire());
  await clock.advance(30_000);
  breaker.tryAcquire();
  expect(breaker.metrics()).toEqual({
    state: 'half-open',
    total: 13,
    ok: 4,
    failed: 5,
    released: 1,
    rejected: 2,
    inFlight: 1,
    stateChanges: 2,
    windowCalls: 9,
    failureRate: 5 / 9,
    slowCallRate: 0,
    consecutiveFailures: 5,
    rejectionRate: 2 / 12,
  });
});

it('is known by its brand', () => {
  expect(isCircuitBreaker(new CircuitBreaker())).toBe(true);
  expect([undefined, null, {}, 'x', CircuitBreaker].some(isCircuitBreaker)).toBe(false);
});
