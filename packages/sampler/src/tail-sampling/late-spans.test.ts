import { ROOT_CONTEXT } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { exportedAs, tailSampling } from '../../../../test/support/tail-sampling.js';

describe.each([true, false])('spans that end after their local root, sampled: %s', (sampled) => {
  it('follow a trace that was kept', () => {
    const { process, next, tail } = tailSampling();
    const root = process.root({ sampled });
    const open = process.child(root);
    process.end(root, { name: 'root', isError: true });
    process.end(open, { name: 'open' });
    process.end(process.child(open), { name: 'started later' });
    expect(exportedAs(next.exported)).toEqual(['root 0', 'open 0', 'started later 0']);
    expect(tail.stats()).toMatchObject({ late: 2, kept: { error: 3 }, keptTraces: { error: 1 }, balanced: true });
    expect(next.ledger.snapshot()).toMatchObject({ ended: 3, queued: 3, balanced: true });
  });

  it('follow a trace that was not, but for those that are a reason themselves', () => {
    const { process, next, tail } = tailSampling();
    const root = process.root({ sampled });
    const open = process.child(root);
    process.end(root, { name: 'root' });
    process.end(open, { name: 'open' });
    process.end(process.child(root), { name: 'failed', isError: true });
    process.end(process.child(root), { name: 'slow', durationMillis: 1_001 });
    process.end(process.child(root), { name: 'last' });
    expect(exportedAs(next.exported)).toEqual(
      sampled ? ['root 8', 'open 8', 'failed 0', 'slow 0', 'last 8'] : ['failed 0', 'slow 0'],
    );
    expect(tail.stats()).toMatchObject({ late: 4, kept: { error: 1, slow: 1 }, balanced: true });
  });

  it('are uncertain once the decision had to be forgotten', () => {
    const { process, next, tail } = tailSampling({ maxHeldTraces: 2 });
    const root = process.root({ sampled });
    const [calm, failed] = [process.child(root), process.child(root)];
    process.end(root, { name: 'root', isError: true });
    for (let i = 0; i < 2; i++) process.end(process.root());
    process.end(calm, { name: 'calm' });
    process.end(failed, { name: 'failed', isError: true });
    expect(exportedAs(next.exported)).toEqual(sampled ? ['root 0', 'calm 8', 'failed 8'] : ['root 0', 'failed -']);
    expect(tail.stats().balanced).toBe(true);
  });
});

describe('several local roots with one trace id', () => {
  const traceId = 'd'.repeat(32);

  it('are told apart: A → B → A', () => {
    const { process, next, tail } = tailSampling();
    const outer = process.root({ traceId });
    const call = process.child(outer);
    const inner = process.root({ traceId, remoteParentId: 'b'.repeat(16) });
    const query = process.child(inner);
    process.end(process.child(query), { name: 'inner row', isError: true });
    process.end(query, { name: 'inner query' });
    process.end(inner, { name: 'inner' });
    expect(exportedAs(next.exported)).toEqual(['inner row 0', 'inner query 0', 'inner 0']);
    process.end(process.child(inner), { name: 'inner late' });
    process.end(process.child(call), { name: 'outer query' });
    process.end(call, { name: 'outer call' });
    expect(tail.stats().held).toMatchObject({ traces: 1, spans: 2 });
    process.end(outer, { name: 'outer' });
    expect(exportedAs(next.exported).slice(3)).toEqual(['inner late 0']);
    expect(tail.stats()).toMatchObject({ kept: { error: 4 }, unsampled: 3, balanced: true });
  });

  it('are told apart when only one of them is certain', () => {
    const { process, next } = tailSampling();
    const uncertain = process.root({ traceId, certainty: 'none', sampled: true });
    const certain = process.root({ traceId, remoteParentId: 'b'.repeat(16), sampled: true });
    process.end(process.child(uncertain), { name: 'uncertain child', isError: true });
    process.end(process.child(certain), { name: 'certain child' });
    process.end(certain, { name: 'certain' });
    process.end(uncertain, { name: 'uncertain' });
    expect(exportedAs(next.exported)).toEqual(['uncertain child 8', 'certain child 8', 'certain 8', 'uncertain 8']);
  });

  it('each keep their decision until they are forgotten, whatever the order', () => {
    const { process, next, tail } = tailSampling({ maxHeldTraces: 3 });
    const first = process.root({ traceId });
    const second = process.root({ traceId, remoteParentId: 'b'.repeat(16) });
    const third = process.root({ traceId, remoteParentId: 'c'.repeat(16) });
    process.end(first, { name: 'first', isError: true });
    process.end(third, { name: 'third', isError: true });
    process.end(second, { name: 'second' });
    process.end(process.child(first), { name: 'of first' });
    process.end(process.child(second), { name: 'of second' });
    process.end(process.child(third), { name: 'of third' });
    expect(exportedAs(next.exported)).toEqual(['first 0', 'third 0', 'of first 0', 'of third 0']);

    process.end(process.root()); // the first is forgotten, the others are not
    process.end(process.child(first), { name: 'of first, forgotten', isError: true });
    process.end(process.child(third), { name: 'of third' });
    process.end(process.root());
    process.end(process.root());
    process.end(process.child(third), { name: 'of third, forgotten', isError: true });
    expect(exportedAs(next.exported).slice(4)).toEqual([
      'of first, forgotten -',
      'of third 0',
      'of third, forgotten -',
    ]);
    expect(tail.stats().balanced).toBe(true);
  });

  it('leave nothing behind, though all requests have the same trace id', () => {
    const { process, tail } = tailSampling({ maxHeldTraces: 10 });
    for (let i = 0; i < 1_000; i++) {
      const root = process.root({ traceId, remoteParentId: 'b'.repeat(16) });
      process.end(process.child(process.child(root)));
      process.end(root);
      process.end(process.child(root));
    }
    const traces = Reflect.get(tail, 'traces') as {
      byTraceId: Map<string, { shared: { bySpanId: Map<string, unknown> } }>;
    };
    expect(traces.byTraceId.size).toBe(1);
    // Of each remembered one its root and the child that never ended.
    expect(traces.byTraceId.get(traceId)!.shared.bySpanId.size).toBe(20);
    for (let i = 0; i < 11; i++) process.end(process.root());
    expect(traces.byTraceId.has(traceId)).toBe(false);
    expect(traces.byTraceId.size).toBe(10);
  });
});

it('children of traces that nobody here decided about push no decision out of memory', () => {
  const { process, next, tail } = tailSampling({ maxHeldTraces: 2 });
  const root = process.root();
  const late = process.child(root);
  process.end(root, { name: 'root', isError: true });
  for (let i = 1; i <= 5; i++) {
    const parentSpanContext = { traceId: `${i}`.repeat(32), spanId: 'f'.repeat(16), traceFlags: 1 };
    tail.onStart({ parentSpanContext, spanContext: () => ({ ...parentSpanContext, spanId: `${i}` }) }, ROOT_CONTEXT);
  }
  process.end(late, { name: 'late' });
  expect(exportedAs(next.exported)).toEqual(['root 0', 'late 0']);
});
