import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { exportedAs, RecordingProcessor, tailSampling } from '../../../../test/support/tail-sampling.js';
import { heldSpanBytes } from './held-span-bytes.js';

/** Its monotonic time can be set, as no clock should allow. */
class JumpingClock extends VirtualClock {
  offset = 0;
  override now(): number {
    return super.now() + this.offset;
  }
}

class NullProcessor extends RecordingProcessor {
  override onEnd(): void {}
}

describe('too many local traces', () => {
  it('decide the oldest early, sampled or not', () => {
    for (const sampled of [true, false]) {
      const { process, next, tail } = tailSampling({ maxHeldTraces: 2 });
      const failed = process.root({ sampled });
      process.end(process.child(failed), { name: 'failed', isError: true });
      const calm = process.root({ sampled });
      process.end(process.child(calm), { name: 'calm' });
      process.root({ sampled: !sampled });
      expect(exportedAs(next.exported)).toEqual(['failed 0']);
      process.root({ sampled: !sampled });
      expect(exportedAs(next.exported)).toEqual(sampled ? ['failed 0', 'calm 8'] : ['failed 0']);
      expect(tail.stats()).toMatchObject({ held: { traces: 2 }, earlyDecisions: { traces: 2 }, balanced: true });
      process.end(failed, { name: 'root of failed' });
      process.end(calm, { name: 'root of calm', isError: true });
      expect(exportedAs(next.exported).slice(sampled ? 2 : 1)).toEqual(['root of failed 0', 'root of calm 0']);
    }
  });

  it('are 20,000 by default, held in next to no time', () => {
    const { process, tail } = tailSampling();
    const roots = Array.from({ length: 20_000 }, () => process.root());
    for (const root of roots) process.end(process.child(root));
    expect(tail.stats()).toMatchObject({
      held: { traces: 20_000, spans: 20_000 },
      earlyDecisions: { traces: 0, bytes: 0 },
    });
    for (const root of roots) process.end(root);
    expect(tail.stats()).toMatchObject({ held: { traces: 0, spans: 0, bytes: 0 }, unsampled: 40_000, late: 0 });
  });
});

describe('too many bytes', () => {
  const bytes = heldSpanBytes(fakeSpan({ parentSpanId: 'a'.repeat(16) }));

  it('decide the oldest early', () => {
    const { process, tail } = tailSampling({ maxHeldBytes: 4 * bytes });
    const roots = [process.root(), process.root({ sampled: true }), process.root()];
    for (const root of roots) process.end(process.child(root));
    process.end(process.child(roots[2]!));
    expect(tail.stats()).toMatchObject({ held: { traces: 3, spans: 4 }, earlyDecisions: { bytes: 0 } });
    const last = process.root();
    process.end(process.child(last));
    expect(tail.stats()).toMatchObject({ held: { traces: 3, spans: 4 }, earlyDecisions: { bytes: 1 }, balanced: true });
    expect(tail.stats().held.bytes).toBeLessThanOrEqual(4 * bytes);
  });

  it('of one trace decide that trace early, not the others; the rest of it follows', () => {
    const { process, next, tail } = tailSampling({ maxHeldBytes: 10 * bytes });
    const small = process.root();
    process.end(process.child(small), { name: 'small' });
    const large = process.root();
    for (let i = 0; i < 1_000; i++) process.end(process.child(large), { name: 'part', isError: i === 3 });
    expect(tail.stats()).toMatchObject({ held: { traces: 1, spans: 1 }, earlyDecisions: { bytes: 1 }, late: 995 });
    expect(next.exported.length).toBe(1_000);
    process.end(large, { name: 'root' });
    process.end(small, { name: 'small root', isError: true });
    expect(exportedAs(next.exported).slice(1_000)).toEqual(['root 0', 'small 0', 'small root 0']);
    expect(tail.stats()).toMatchObject({ held: { traces: 0, bytes: 0 }, balanced: true });
  });

  it('of a trace with 1,000,000 spans never take more than 4 MiB', () => {
    const { tail, process } = tailSampling({}, new NullProcessor());
    const root = process.root({ sampled: true });
    const span = fakeSpan({ attributes: {}, events: [], traceId: root.spanContext().traceId, parentSpanId: '1' });
    let most = 0;
    for (let i = 0; i < 1_000_000; i++) {
      tail.onEnd(span);
      if (i % 1_000 === 0) most = Math.max(most, tail.stats().held.bytes);
    }
    process.end(root);
    expect(most).toBeGreaterThan(3 * 1024 * 1024);
    expect(most).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(tail.stats()).toMatchObject({ ended: 1_000_001, passed: 1_000_001, balanced: true });
  });

  it('of a span that is too large for all of them decide its trace, and that knows of the span', () => {
    const { process, next, tail } = tailSampling({ maxHeldBytes: 100 });
    const root = process.root();
    process.end(process.child(root), { name: 'large', isError: true });
    process.end(root, { name: 'root' });
    expect(exportedAs(next.exported)).toEqual(['large 0', 'root 0']);
    expect(tail.stats()).toMatchObject({ held: { spans: 0, bytes: 0 }, balanced: true });
  });

  it('are counted alike, whatever the head wrote into the tracestate', () => {
    const plain = process(undefined);
    expect(process('ot=th:fd70a4')).toBe(plain);
    expect(process('ot=th:fd70a4;rv:0123456789abcd,vendor=1')).toBe(plain);
    function process(traceState: string | undefined): number {
      const { process, tail } = tailSampling();
      process.end(process.child(process.root({ sampled: traceState !== undefined, traceState })));
      return tail.stats().held.bytes;
    }
  });
});

describe('too long a time', () => {
  it('decides a trace whose local root does not end, by one timer, and by none when nothing is held', async () => {
    const { process, next, tail, clock } = tailSampling();
    expect(clock.pendingTimers).toBe(0);
    const first = process.root({ sampled: true });
    process.end(process.child(first), { name: 'first' });
    await clock.advance(20_000);
    const second = process.root({ sampled: true });
    process.end(process.child(second), { name: 'second' });
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(9_999);
    expect(next.exported).toEqual([]);
    await clock.advance(1);
    expect(exportedAs(next.exported)).toEqual(['first 8']);
    await clock.advance(19_999);
    expect(tail.stats()).toMatchObject({ held: { traces: 1 }, earlyDecisions: { ttl: 1 } });
    await clock.advance(1);
    expect(tail.stats()).toMatchObject({ held: { traces: 0 }, earlyDecisions: { ttl: 2 } });
    expect(clock.pendingTimers).toBe(0);
    for (let i = 0; i < 3; i++) process.end(process.root());
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(30_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is measured anew when the clock is set back, and ends at once when it is set forward', async () => {
    const clock = new JumpingClock({ now: 10_000_000 });
    const { process, tail } = tailSampling({ clock });
    process.root();
    await clock.advance(10_000);
    clock.offset = -5_000_000;
    process.root();
    await clock.advance(20_000);
    expect(tail.stats().held.traces).toBe(2);
    await clock.advance(30_000);
    expect(tail.stats()).toMatchObject({ held: { traces: 0 }, earlyDecisions: { ttl: 2 } });

    process.root();
    clock.offset = 5_000_000;
    await clock.advance(30_000);
    expect(tail.stats().held.traces).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
