import type { Trigger } from '@otel-resilience/degradation';
import { describe, expect, it } from 'vitest';
import { ScriptedTrigger } from '../support/degradation.js';
import { UNPRINTABLE } from '../support/hostile-spans.js';
import { application, endTrace, thresholdOf } from './application.js';

const SECOND = 1_000;

function thrower(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

/** What `read` may do wrong. */
const MISBEHAVIOURS: Record<string, () => unknown> = {
  'throws an error': thrower(new Error('out of order')),
  'throws nothing': thrower(undefined),
  'throws what cannot be printed': thrower(UNPRINTABLE),
  rejects: () => Promise.reject(new Error('out of order')),
  'rejects with what cannot be printed': () => Promise.reject(UNPRINTABLE),
  hangs: () => new Promise(() => {}),
  'returns NaN': () => Number.NaN,
  'returns Infinity': () => Number.POSITIVE_INFINITY,
  'returns -Infinity': () => Number.NEGATIVE_INFINITY,
  'returns null': () => null,
  'returns text': () => '99',
  'returns a bigint': () => 99n,
  'returns an object': () => ({ valueOf: () => 99 }),
  'returns a symbol': () => Symbol('99'),
  'resolves to NaN': async () => Number.NaN,
  'resolves to text': async () => '99',
  // biome-ignore-start lint/suspicious/noThenProperty: that is the point
  'returns a thenable that throws': () => ({ then: thrower(new Error('no then')) }),
  'returns a thenable whose then throws when it is read': () => Object.defineProperty({}, 'then', { get: thrower(5) }),
  'returns a thenable that never answers': () => ({ then() {} }),
  // biome-ignore-end lint/suspicious/noThenProperty: that is the point
};

/** Says a number until it is told to misbehave. */
class BadTrigger implements Trigger {
  readonly name = 'bad';
  readonly thresholds = { light: 50, moderate: 70, heavy: 85, emergency: 95 };
  readonly immediate = true;
  reads = 0;
  says: number | undefined;
  private readonly misbehave: () => unknown;

  constructor(misbehave: () => unknown, says: number | undefined) {
    this.misbehave = misbehave;
    this.says = says;
  }

  read(): number {
    this.reads++;
    return this.says ?? (this.misbehave() as number);
  }
}

function watching(...additionalTriggers: Trigger[]) {
  return application({
    degradation: { evaluationIntervalMillis: SECOND, recoveryIntervalMillis: 2 * SECOND, additionalTriggers },
  });
}

describe.each(Object.keys(MISBEHAVIOURS))('a trigger that %s', (name) => {
  const misbehave = MISBEHAVIOURS[name]!;

  it('moves nothing while the others do, and is shown', async () => {
    const load = new ScriptedTrigger();
    const bad = new BadTrigger(misbehave, undefined);
    const { clock, r, tracer, close } = watching(bad, load);
    endTrace(tracer);
    await clock.advance(10 * SECOND);
    expect(r.degradation.level).toBe('normal');
    load.says = 75;
    await clock.advance(3 * SECOND);
    expect(r.degradation.level).toBe('moderate');
    const failed = endTrace(tracer, { failed: true });
    load.says = 0;
    await clock.advance(10 * SECOND);
    expect(r.status().degradation).toMatchObject({ level: 'normal', automaticLevel: 'normal' });
    const shown = r.status().degradation.triggers.find(({ name }) => name === 'bad');
    expect(shown).toMatchObject({ value: undefined, asks: 'normal', recovered: true, failing: expect.any(String) });
    expect(shown!.failures).toBeGreaterThanOrEqual(bad.reads);
    const { totals } = await close();
    expect(totals).toMatchObject({ ended: 2 + failed.length, dropped: {} });
  });

  it('keeps up what it had asked for until it says otherwise', async () => {
    const bad = new BadTrigger(misbehave, 90);
    const { clock, r, tracer, exporter, close } = watching(bad);
    endTrace(tracer);
    await clock.advance(3 * SECOND);
    expect(r.degradation.level).toBe('heavy');
    bad.says = undefined;
    const { triggers, reason } = r.status().degradation;
    expect(triggers.at(-1)).toMatchObject({ name: 'bad', value: 90, asks: 'heavy' });
    await clock.advance(60 * SECOND);
    expect(r.status().degradation).toMatchObject({ level: 'heavy', reason });
    endTrace(tracer, { failed: true });
    expect(r.degradation.history().map(({ to }) => to)).toEqual(['heavy']);
    await close();
    expect(exporter.deliveredSpans.filter((span) => thresholdOf(span) === '0')).toHaveLength(4);
  });
});

describe('a trigger that hangs', () => {
  it('is not called again, however often something changes, and is heard when it answers', async () => {
    const slow = new ScriptedTrigger({ name: 'slow', immediate: true });
    const { clock, r, tracer, close } = watching(slow);
    slow.says = 'hangs';
    for (let i = 0; i < 60; i++) {
      endTrace(tracer);
      await clock.advance(SECOND);
    }
    expect(slow.reads).toBe(1);
    slow.answer(99); // out of date by now
    slow.says = 75;
    await clock.advance(2 * SECOND);
    expect(r.degradation.level).toBe('moderate');
    await close();
  });
});

describe.each<[string, Partial<Trigger> & object]>([
  ['throws', { start: thrower(UNPRINTABLE), stop: thrower(UNPRINTABLE), recordOutcome: thrower(UNPRINTABLE) }],
  ['rejects', rejecting(['start', 'stop', 'recordOutcome'])],
])('a trigger that %s at start, stop and recordOutcome', (_, methods) => {
  it('is read all the same, and hinders nothing', async () => {
    const load = Object.assign(new ScriptedTrigger(), methods);
    const { clock, r, tracer, close } = watching(load);
    endTrace(tracer);
    load.says = 75;
    expect(r.degradation.guard(() => 1, thrower(new Error('no')))).toBe(1);
    await clock.advance(3 * SECOND);
    expect(r.degradation.level).toBe('moderate');
    await close();
    expect(r.degradation.status()).toMatchObject({ running: false, level: 'normal' });
  });
});

describe('a trigger that acts while it is read', () => {
  const acting = async (act: (parts: ReturnType<typeof application>, load: ScriptedTrigger) => void) => {
    const load = new ScriptedTrigger();
    const parts = watching(load);
    const { read } = load;
    load.read = () => {
      act(parts, load);
      return read.call(load);
    };
    endTrace(parts.tracer);
    load.says = 75;
    await parts.clock.advance(10 * SECOND);
    return { ...parts, load };
  };

  it('may stop the controller', async () => {
    const { r, load, close } = await acting(({ r }) => r.degradation.stop());
    expect(load.reads).toBe(1);
    expect(r.degradation.status()).toMatchObject({ running: false, level: 'normal' });
    await close();
  });

  it('may force and release', async () => {
    let reads = 0;
    const { r, close } = await acting(({ r }) =>
      reads++ % 2 ? r.degradation.release() : r.degradation.force('heavy'),
    );
    expect(r.status().degradation.automaticLevel).toBe('moderate');
    await close();
  });

  it('may end spans', async () => {
    const { r, close } = await acting(({ tracer }) => endTrace(tracer, { failed: true }));
    expect(r.degradation.level).toBe('moderate');
    await close();
  });

  it('may change itself, which changes nothing', async () => {
    const never = { light: 1_000, moderate: 1_000, heavy: 1_000, emergency: 1_000 };
    const { r, close } = await acting((_, load) => {
      Object.assign(load, { name: 'another', holdForMillis: 1e9, immediate: 'yes' });
      Object.assign(load.thresholds, never);
    });
    expect(r.status().degradation).toMatchObject({ level: 'moderate', reason: { trigger: 'load', threshold: 70 } });
    await close();
  });
});

describe('a listener that throws, and one that stops the controller', () => {
  it('cost nothing', async () => {
    const load = new ScriptedTrigger();
    const { clock, r, tracer, close } = watching(load);
    endTrace(tracer);
    r.degradation.on('transition', thrower(UNPRINTABLE));
    r.degradation.on('transition', () => Promise.reject(new Error('no')));
    r.degradation.on('transition', ({ to }) => to === 'heavy' && r.degradation.stop());
    load.says = 75;
    await clock.advance(2 * SECOND);
    expect(r.degradation.level).toBe('moderate');
    load.says = 90;
    await clock.advance(2 * SECOND);
    expect(r.degradation.status()).toMatchObject({ running: false, level: 'normal' });
    await close();
  });
});

function rejecting(methods: readonly string[]): object {
  return Object.fromEntries(methods.map((method) => [method, () => Promise.reject(UNPRINTABLE)]));
}
