import { ConfigurationError, type LevelSource } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import {
  exportedAs,
  LedgerProcessor,
  RecordingProcessor,
  tailSampling,
} from '../../../../test/support/tail-sampling.js';
import { TailSamplingSpanProcessor } from './tail-sampling-span-processor.js';

describe.each([true, false])('a local trace that is held, sampled: %s', (sampled) => {
  it('goes on as a whole with threshold 0 when a span of it fails', () => {
    const { process, next, tail } = tailSampling();
    const root = process.root({ sampled });
    const child = process.child(root);
    process.end(process.child(child), { name: 'grandchild', isError: true });
    process.end(child, { name: 'child' });
    expect(next.ended).toEqual([]);
    expect(tail.stats().held).toMatchObject({ traces: 1, spans: 2 });

    process.end(root, { name: 'root' });

    expect(exportedAs(next.exported)).toEqual(['grandchild 0', 'child 0', 'root 0']);
    expect(tail.stats()).toMatchObject({
      ended: 3,
      kept: { error: 3, slow: 0, rule: 0 },
      keptTraces: { error: 1 },
      promoted: sampled ? 0 : 3,
      held: { traces: 0, spans: 0, bytes: 0 },
      balanced: true,
    });
  });

  it('goes on as a whole with threshold 0 when a span of it is slow', () => {
    const { process, next, tail } = tailSampling({ slowThresholdMillis: 100 });
    const root = process.root({ sampled });
    process.end(process.child(root), { name: 'child', durationMillis: 100.000001 });
    process.end(root, { name: 'root' });
    expect(exportedAs(next.exported)).toEqual(['child 0', 'root 0']);
    expect(tail.stats().kept.slow).toBe(2);
  });

  it('is decided as the head did when nothing is wrong with it', () => {
    const { process, next, tail } = tailSampling({ slowThresholdMillis: 100 });
    const root = process.root({ sampled });
    const child = process.end(process.child(root), { name: 'child', durationMillis: 100 });
    const ended = process.end(root, { name: 'root' });
    expect(exportedAs(next.exported)).toEqual(sampled ? ['child 8', 'root 8'] : []);
    if (sampled) expect(next.exported).toEqual([child, ended]);
    expect(tail.stats()).toMatchObject({ passed: sampled ? 2 : 0, unsampled: sampled ? 0 : 2, balanced: true });
    expect(next.ledger.snapshot()).toMatchObject({ ended: 2, held: 0, unsampled: sampled ? 0 : 2, balanced: true });
  });

  it('is held again when it comes from another process', () => {
    const { process, next } = tailSampling();
    const root = process.root({ sampled, remoteParentId: '00000000000000aa' });
    process.end(process.child(root), { name: 'child', isError: true });
    expect(next.ended).toEqual([]);
    process.end(root, { name: 'root' });
    expect(exportedAs(next.exported)).toEqual(['child 0', 'root 0']);
  });
});

describe('the reason', () => {
  const reasonsOf = (tail: TailSamplingSpanProcessor) => tail.stats().kept;

  it('is the strongest of all spans', () => {
    const { process, tail } = tailSampling({ keepRules: [{ name: 'checkout' }] });
    const root = process.root();
    process.end(process.child(root), { name: 'checkout' });
    process.end(process.child(root), { durationMillis: 2_000 });
    process.end(process.child(root), { name: 'checkout' });
    process.end(root, { isError: true });
    expect(reasonsOf(tail)).toEqual({ error: 4, slow: 0, rule: 0 });
  });

  it('may be a rule about what the span was at its end', () => {
    const { process, next, tail } = tailSampling({
      keepRules: [{ route: '/orders/*', kind: 'server', attributes: { 'http.response.status_code': [402, 409] } }],
    });
    const attributes = { 'http.route': '/orders/:id', 'http.response.status_code': 409 };
    process.end(process.root(), { name: 'kept', attributes });
    process.end(process.root(), { attributes: { ...attributes, 'http.response.status_code': 404 } });
    process.end(process.root(), { attributes, kind: 2 });
    expect(exportedAs(next.exported)).toEqual(['kept 0']);
    expect(reasonsOf(tail)).toEqual({ error: 0, slow: 0, rule: 1 });
  });

  it('is never slowness while the level asks for errors only', () => {
    const controller: { level: LevelSource['level'] } = { level: 'heavy' };
    const { process, next } = tailSampling({ controller });
    process.end(process.root(), { name: 'heavy', durationMillis: 2_000 });
    controller.level = 'emergency';
    process.end(process.root(), { name: 'slow', durationMillis: 2_000 });
    process.end(process.root(), { name: 'failed', durationMillis: 2_000, isError: true });
    expect(exportedAs(next.exported)).toEqual(['heavy 0', 'failed 0']);
  });

  it('is what the span was when it ended, not what somebody made of it later', () => {
    const { process, next } = tailSampling();
    const root = process.root();
    const status = { code: 0 };
    process.end(process.child(root), { status });
    status.code = 2;
    process.end(root);
    expect(next.exported).toEqual([]);
  });
});

describe('where this process is not certain', () => {
  it.each(['none', 'unknown'] as const)('holds nothing and promotes nothing (%s)', (certainty) => {
    const { process, next, tail } = tailSampling();
    const sampled = process.root({ certainty, sampled: true });
    process.end(process.child(sampled), { name: 'sampled child', isError: true });
    process.end(sampled, { name: 'sampled' });
    const recorded = process.root({ certainty, traceState: 'ot=th:c;rv:0123456789abcd,other=1' });
    process.end(process.child(recorded), { name: 'failed', isError: true });
    process.end(recorded, { name: 'recorded' });

    expect(exportedAs(next.exported)).toEqual(['sampled child 8', 'sampled 8', 'failed -']);
    expect(next.exported[2]!.spanContext().traceState?.serialize()).toBe('ot=rv:0123456789abcd,other=1');
    expect(tail.stats()).toMatchObject({ passed: 2, uncounted: 1, unsampled: 1, promoted: 0, balanced: true });
    expect(tail.stats().held.traces).toBe(0);
  });

  it('judges the local root alone where only that is certain', () => {
    const { process, next, tail } = tailSampling();
    for (const sampled of [true, false]) {
      const root = process.root({ certainty: 'localRoot', sampled });
      if (sampled) process.end(process.child(root), { name: 'child', isError: true });
      process.end(root, { name: `root ${sampled}`, isError: true });
      process.end(process.root({ certainty: 'localRoot', sampled }), { name: `calm ${sampled}` });
    }
    expect(exportedAs(next.exported)).toEqual(['child 8', 'root true 0', 'calm true 8', 'root false 0']);
    expect(tail.stats()).toMatchObject({ kept: { error: 2 }, promoted: 1, passed: 2, unsampled: 1, balanced: true });
    expect(tail.stats().held.traces).toBe(0);
  });

  it('lets spans pass at once where the head keeps everything', () => {
    const { process, next, tail, clock } = tailSampling();
    const root = process.root({ holds: false, sampled: true, traceState: 'ot=th:0' });
    const child = process.end(process.child(root), { isError: true });
    expect(next.exported).toEqual([child]);
    expect(next.exported[0]).toBe(child);
    expect(clock.pendingTimers).toBe(0);
    expect(tail.stats()).toMatchObject({ passed: 1, kept: { error: 0 } });
  });

  it('treats spans whose local root was never seen as uncertain', () => {
    const { process, next } = tailSampling();
    const elsewhere = tailSampling().process.root({ sampled: true });
    process.end(elsewhere, { name: 'root' });
    process.end(process.child(elsewhere), { name: 'child', isError: true });
    process.end(process.child(elsewhere, { sampled: false }), { name: 'recorded', isError: true });
    process.end(process.child(elsewhere, { sampled: false }), { name: 'calm' });
    expect(exportedAs(next.exported)).toEqual(['root 8', 'child 8', 'recorded -']);
  });

  it('does not take word about another span for its own', () => {
    const { process, next, tail } = tailSampling();
    process.root({ traceId: 'a'.repeat(32) });
    process.end(process.root({ traceId: 'a'.repeat(32), certainty: 'unknown' }), { name: 'other', isError: true });
    expect(tail.stats().held.traces).toBe(1);
    expect(next.exported).toEqual([]); // it counts to the first local root with its trace id, and follows that
  });
});

describe('what others see', () => {
  it('is the span as it was: a promoted one is a view', () => {
    const { process, next } = tailSampling();
    const root = process.root({ traceState: 'a=1,ot=rv:0123456789abcd,b=2' });
    const context = root.spanContext();
    const span = process.end(root, { isError: true });
    expect(span.spanContext()).toBe(context);
    expect(context.traceFlags).toBe(0);
    expect(context.traceState?.serialize()).toBe('a=1,ot=rv:0123456789abcd,b=2');
    const [view] = next.exported;
    expect(view!.attributes).toBe(span.attributes);
    expect(view!.spanContext()).toMatchObject({ traceId: context.traceId, spanId: context.spanId, traceFlags: 1 });
    expect(view!.spanContext().traceState?.serialize()).toBe('ot=th:0;rv:0123456789abcd,a=1,b=2');
  });

  it('forwards onStart, and onEnding only to those that have it', () => {
    const plain = tailSampling();
    const root = plain.process.root();
    expect(plain.next.started).toEqual([root]);
    expect(plain.tail.onEnding).toBeUndefined();

    const ending: object[] = [];
    const next = Object.assign(new RecordingProcessor(), { onEnding: (span: object) => ending.push(span) });
    tailSampling({}, next).tail.onEnding!(root);
    expect(ending).toEqual([root]);
  });

  it('starts the controller at the first span', () => {
    let starts = 0;
    const { process } = tailSampling({ controller: { level: 'normal', start: () => void starts++ } });
    expect(starts).toBe(0);
    process.root();
    process.root();
    expect(starts).toBe(1);
  });
});

describe('options', () => {
  const make = (options: object) => () => new TailSamplingSpanProcessor({ next: new LedgerProcessor(), ...options });

  it.each([
    [{ next: undefined }, 'next'],
    [{ next: { onStart() {}, onEnd() {} } }, 'next'],
    [{ controller: {} }, 'controller'],
    [{ controller: { level: 'worse' } }, 'controller'],
    [{ slowThresholdMillis: -1 }, 'slowThresholdMillis'],
    [{ slowThresholdMillis: Number.NaN }, 'slowThresholdMillis'],
    [{ keepRules: {} }, 'keepRules'],
    [{ keepRules: [{ servise: 'a' }] }, 'keepRules[0].servise'],
    [{ keepRules: [{ kind: 'sever' }] }, 'keepRules[0].kind'],
    [{ maxHeldTraces: 0 }, 'maxHeldTraces'],
    [{ maxHeldTraces: 1.5 }, 'maxHeldTraces'],
    [{ maxHeldBytes: 0 }, 'maxHeldBytes'],
    [{ maxHoldMillis: 0 }, 'maxHoldMillis'],
    [{ metrics: 1 }, 'metrics'],
    [{ clock: {} }, 'clock'],
    [{ maxHeldSpans: 1 }, 'maxHeldSpans'],
  ])('rejects %j', (options, path) => {
    expect(make(options)).toThrow(ConfigurationError);
    expect(make(options)).toThrow(`TailSamplingSpanProcessor.${path}`);
  });

  it('rejects what is no options object', () => {
    expect(() => new TailSamplingSpanProcessor(undefined as never)).toThrow(ConfigurationError);
  });
});
