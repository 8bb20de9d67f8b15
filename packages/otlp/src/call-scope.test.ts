import { getEventListeners } from 'node:events';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { CallScope, orAborted } from './call-scope.js';

function setUp(timeoutMillis = 1_000) {
  const clock = new VirtualClock();
  const outer = new AbortController();
  const scope = new CallScope({ signal: outer.signal, deadline: clock.now() + timeoutMillis }, clock);
  const left = () => ({ timers: clock.pendingTimers, listeners: getEventListeners(outer.signal, 'abort').length });
  return { clock, outer, scope, left };
}

const NOTHING = { timers: 0, listeners: 0 };

describe('a scope', () => {
  it('ends at its deadline', async () => {
    const { clock, scope, left } = setUp();
    await clock.advance(999);
    expect(scope.signal.aborted).toBe(false);
    expect(scope.remainingMillis).toBe(1);
    await clock.advance(1);
    expect(scope.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED', message: 'no answer within 1000 ms' });
    expect(scope.expired).toBe(true);
    expect(left()).toEqual(NOTHING);
  });

  it('ends with the signal, and has expired if that says so', () => {
    for (const [reason, expired] of [
      [new Error('enough'), false],
      [undefined, false],
      ['a word', false],
      [Object.assign(new Error('too late'), { code: 'DEADLINE_EXCEEDED' }), true],
    ] as const) {
      const { outer, scope, left } = setUp();
      outer.abort(reason);
      expect(scope.signal.reason).toBe(outer.signal.reason);
      expect(scope.expired).toBe(expired);
      expect(left()).toEqual(NOTHING);
    }
  });

  it('is over from the start when the signal was', () => {
    const clock = new VirtualClock();
    const scope = new CallScope({ signal: AbortSignal.abort('no'), deadline: clock.now() + 1_000 }, clock);
    expect(scope.signal.reason).toBe('no');
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([0, -40])(
    'is over from the start when its deadline has passed (%i ms left): nobody is asked in vain',
    (left) => {
      const { scope, left: remains } = setUp(left);
      expect(scope.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED', message: 'no time left to send' });
      expect(scope.expired).toBe(true);
      expect(remains()).toEqual(NOTHING);
    },
  );

  it('keeps its first reason', async () => {
    const { clock, outer, scope } = setUp();
    scope.abort('first');
    outer.abort('second');
    await clock.advance(2_000);
    expect(scope.signal.reason).toBe('first');
  });

  it('leaves nothing when it is closed', () => {
    const { scope, left } = setUp();
    expect(left()).toEqual({ timers: 1, listeners: 1 });
    scope.close();
    expect(left()).toEqual(NOTHING);
  });

  it('tells what is left in eight digits', () => {
    expect(setUp(Number.MAX_SAFE_INTEGER).scope.remainingMillis).toBe(99_999_999);
    expect(setUp(-5).scope.remainingMillis).toBe(1);
    expect(setUp(1.2).scope.remainingMillis).toBe(2);
  });
});

describe('orAborted', () => {
  it('brings what the promise brings, and leaves no listener', async () => {
    const { signal } = new AbortController();
    expect(await orAborted(Promise.resolve('x'), signal)).toBe('x');
    await expect(orAborted(Promise.reject(new Error('y')), signal)).rejects.toThrow('y');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('rejects with the reason when that comes first', async () => {
    const controller = new AbortController();
    const waiting = orAborted(new Promise(() => {}), controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(orAborted(new Promise(() => {}), controller.signal)).rejects.toThrow('enough');
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});
