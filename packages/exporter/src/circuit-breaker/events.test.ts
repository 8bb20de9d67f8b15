import { DiagLogLevel, diag } from '@opentelemetry/api';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.js';
import type { RejectionRateEvent, StateChangeEvent } from './events.js';

function setUp() {
  const clock = new VirtualClock();
  const breaker = new CircuitBreaker({ clock, consecutiveFailures: 2, name: 'collector A' });
  const open = () => {
    for (let i = 0; i < 2; i++) breaker.tryAcquire()!.failure();
  };
  return { clock, breaker, open };
}

const step = ({ from, to, reason }: StateChangeEvent) => `${from} → ${to}: ${reason}`;

describe('stateChange', () => {
  it('tells every change and its reason', async () => {
    const { clock, breaker, open } = setUp();
    const seen: string[] = [];
    breaker.on('stateChange', (event) => seen.push(step(event)));
    open();
    await clock.advance(30_000);
    for (let i = 0; i < 3; i++) breaker.tryAcquire()!.failure();
    breaker.tryAcquire({ lastResort: true })!.success();
    for (let i = 0; i < 2; i++) breaker.tryAcquire()!.success();
    breaker.reset();
    breaker.metricsOnly();
    breaker.metricsOnly();
    breaker.enable();
    expect(seen).toEqual([
      'closed → open: consecutiveFailures',
      'open → half-open: openTimeElapsed',
      'half-open → open: probesFailed',
      'open → half-open: lastResortSucceeded',
      'half-open → closed: probesSucceeded',
      'closed → metrics-only: manual',
      'metrics-only → closed: manual',
    ]);
    expect(breaker.metrics().stateChanges).toBe(7);
  });

  it('reaches every listener in order, even when one of them changes the state again', () => {
    const { breaker, open } = setUp();
    const seen: string[] = [];
    breaker.on('stateChange', ({ to }) => {
      seen.push(`first ${to}`);
      if (to === 'open') breaker.trip();
    });
    breaker.on('stateChange', ({ to }) => seen.push(`second ${to}`));
    open();
    expect(seen).toEqual(['first open', 'second open', 'first forced-open', 'second forced-open']);
  });

  it('may be used to overrule a call that is being admitted', async () => {
    const { clock, breaker, open } = setUp();
    open();
    breaker.on('stateChange', ({ to }) => to === 'half-open' && breaker.trip());
    await clock.advance(30_000);
    expect(breaker.tryAcquire()).toBeUndefined();
    expect(breaker.state).toBe('forced-open');
  });

  it('may be used to overrule a recovery', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, halfOpenSuccesses: 1 });
    breaker.on('stateChange', ({ to }) => to === 'half-open' && breaker.trip());
    breaker.tryAcquire()!.failure();
    breaker.tryAcquire({ lastResort: true })!.success();
    expect(breaker.state).toBe('forced-open');
  });

  it('is no longer sent to a listener that has been taken away', () => {
    const { breaker, open } = setUp();
    let calls = 0;
    const count = () => calls++;
    const unsubscribe = [breaker.on('stateChange', count), breaker.on('stateChange', count)];
    unsubscribe[0]!();
    unsubscribe[0]!();
    open();
    expect(calls).toBe(1);
  });
});

describe('a listener that fails', () => {
  afterEach(() => diag.disable());

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('listener');
      },
    ],
    ['rejects', () => Promise.reject(new Error('listener'))],
    [
      'throws what cannot be shown',
      () => {
        throw Object.create(null);
      },
    ],
  ])('(it %s) breaks neither the breaker nor the next listener', async (_, listener) => {
    const { clock, breaker, open } = setUp();
    const seen: string[] = [];
    breaker.on('stateChange', listener);
    breaker.on('stateChange', ({ to }) => seen.push(to));
    open();
    await clock.advance(30_000);
    for (let i = 0; i < 3; i++) breaker.tryAcquire()!.success();
    expect(seen).toEqual(['open', 'half-open', 'closed']);
  });

  it('is logged, at most one line per interval', () => {
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    diag.setLogger({ error: log, warn: log, info: log, debug: log, verbose: log }, { logLevel: DiagLogLevel.WARN });
    const { breaker } = setUp();
    breaker.on('stateChange', () => {
      throw new Error('no disk');
    });
    for (let i = 0; i < 10; i++) {
      breaker.trip();
      breaker.reset();
    }
    expect(lines).toEqual(['collector A: a stateChange listener failed: Error: no disk']);
  });

  it('may even meet a logger that throws', () => {
    const log = () => {
      throw new Error('logger');
    };
    diag.setLogger(
      { error: log, warn: log, info: () => {}, debug: log, verbose: log },
      { logLevel: DiagLogLevel.WARN },
    );
    const { breaker, open } = setUp();
    breaker.on('stateChange', () => {
      throw new Error('listener');
    });
    open();
    expect(breaker.state).toBe('open');
  });
});

describe('rejectionRate', () => {
  it('is sent when more than 10 % of the calls of the last minute were refused, once per minute', async () => {
    const { clock, breaker } = setUp();
    const seen: RejectionRateEvent[] = [];
    breaker.on('rejectionRate', (event) => seen.push(event));
    for (let i = 0; i < 90; i++) breaker.tryAcquire()!.success();
    breaker.trip();
    for (let i = 0; i < 10; i++) breaker.tryAcquire();
    expect(seen).toEqual([]);
    for (let i = 0; i < 50; i++) breaker.tryAcquire();
    expect(seen).toEqual([{ rejectionRate: 11 / 101, rejected: 11, calls: 101, windowMillis: 60_000 }]);
    await clock.advance(59_999);
    breaker.tryAcquire();
    expect(seen).toHaveLength(1);
    await clock.advance(1);
    breaker.tryAcquire();
    expect(seen).toHaveLength(2);
  });

  it('forgets refusals that have left the window', async () => {
    const { clock, breaker } = setUp();
    breaker.trip();
    for (let i = 0; i < 50; i++) breaker.tryAcquire();
    expect(breaker.metrics().rejectionRate).toBe(1);
    await clock.advance(60_000);
    expect(breaker.metrics()).toMatchObject({ rejectionRate: 0, rejected: 50 });
  });
});

it('on() refuses an unknown event and what is no function', () => {
  const { breaker } = setUp();
  expect(() => breaker.on('change' as never, () => {})).toThrow(
    'CircuitBreaker.on: expected one of stateChange, rejectionRate',
  );
  expect(() => breaker.on('toString' as never, () => {})).toThrow('CircuitBreaker.on');
  expect(() => breaker.on('stateChange', 5 as never)).toThrow('CircuitBreaker.on: expected a function');
});
