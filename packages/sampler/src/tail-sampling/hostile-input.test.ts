import { ROOT_CONTEXT } from '@opentelemetry/api';
import { HELD_SPANS, type ReadableSpan, type SpanProcessor } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { HOSTILE_SPANS } from '../../../../test/support/hostile-spans.js';
import { exportedAs, RecordingProcessor, tailSampling } from '../../../../test/support/tail-sampling.js';

const thrower = (what: string) => () => {
  throw new Error(what);
};

describe.each(Object.entries(HOSTILE_SPANS))('a span that %s', (_, make) => {
  it('is handed on, and counted', () => {
    const { tail, process, next } = tailSampling({ keepRules: [{ attributes: { a: 1 } }] }, new RecordingProcessor());
    process.root();
    const span = make();
    expect(() => tail.onStart(span, ROOT_CONTEXT)).not.toThrow();
    expect(() => tail.onEnd(span)).not.toThrow();
    expect(next.ended.length).toBe(1);
    expect(tail.stats()).toMatchObject({ ended: 1, balanced: true });
  });
});

describe('a span that cannot be judged', () => {
  it('is held with its trace, and is no reason to keep it', () => {
    const { process, next, tail } = tailSampling();
    const root = process.root({ sampled: true });
    process.end(process.child(root), { name: 'odd', status: undefined } as never);
    process.end(process.child(root), { name: 'failed', isError: true });
    process.end(root, { name: 'root' });
    expect(exportedAs(next.exported)).toEqual(['odd 0', 'failed 0', 'root 0']);
    expect(tail.stats().balanced).toBe(true);
  });

  it('does not stop the others when its context throws later', () => {
    const { process, next, tail } = tailSampling({}, new RecordingProcessor());
    const root = process.root();
    const context = process.child(root).spanContext();
    let reads = 0;
    process.end(root, {
      spanContext: () => {
        if (reads++ > 0) throw new Error('later');
        return context;
      },
    } as never);
    process.end(process.child(root), { name: 'failed', isError: true });
    process.end(root, { name: 'root' });
    expect(next.ended.length).toBe(3);
    expect(exportedAs(next.ended.slice(1))).toEqual(['failed 0', 'root 0']);
    expect(tail.stats()).toMatchObject({ ended: 3, balanced: true });
  });
});

describe('a next processor that throws', () => {
  const throwing = (): SpanProcessor & { ends: number } => ({
    ends: 0,
    onStart: thrower('onStart'),
    onEnding: thrower('onEnding'),
    onEnd(this: { ends: number }) {
      this.ends++;
      throw new Error('onEnd');
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  });

  it('neither reaches the application nor stops a trace half way', () => {
    const { process, next, tail } = tailSampling({}, throwing());
    const root = process.root();
    tail.onEnding!(root);
    for (let i = 0; i < 5; i++) process.end(process.child(root), { isError: true });
    process.end(root);
    expect(next.ends).toBe(6);
    expect(tail.stats()).toMatchObject({ ended: 6, kept: { error: 6 }, nextFailures: 13, balanced: true });
  });

  it('in what it does with held spans, neither', () => {
    const held = { hold: thrower('hold'), discard: thrower('discard'), release: thrower('release') };
    const { process, tail } = tailSampling({}, Object.assign(throwing(), { [HELD_SPANS]: held }));
    for (const isError of [true, false]) {
      const root = process.root();
      process.end(process.child(root), { isError });
      process.end(root);
    }
    expect(tail.stats()).toMatchObject({ ended: 4, kept: { error: 2 }, unsampled: 2, balanced: true });
  });
});

describe('a next processor that ends spans itself', () => {
  it('finds the counts right at every moment', () => {
    const seen: boolean[] = [];
    const next = new (class extends RecordingProcessor {
      override onEnd(span: ReadableSpan): void {
        super.onEnd(span);
        seen.push(tail.stats().balanced);
        if (this.ended.length < 20) process.end(process.root({ sampled: true }), { isError: true });
      }
    })();
    const { process, tail } = tailSampling({ maxHeldTraces: 1 }, next);
    const root = process.root({ sampled: true });
    process.end(process.child(root));
    process.end(process.child(root));
    process.end(root);
    expect(seen.length).toBe(next.ended.length);
    expect(seen).not.toContain(false);
    expect(tail.stats()).toMatchObject({ ended: next.ended.length, held: { traces: 0 } });
  });
});

describe('a controller that throws', () => {
  it('costs nothing but its advice', () => {
    const controller = { level: 'normal' as const, start: thrower('start'), isActive: thrower('isActive') };
    const { process, next } = tailSampling({ controller });
    process.end(process.root(), { name: 'slow', durationMillis: 5_000 });
    expect(exportedAs(next.exported)).toEqual(['slow 0']);
  });
});
