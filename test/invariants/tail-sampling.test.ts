import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calmSchedule, Play, schedule, tightLimits } from './tail-schedule.js';

const flags = fc.array(fc.boolean(), { minLength: 1, maxLength: 30 });

describe('tail sampling', () => {
  it('puts every ended span into one state, and hands none on twice, within bounds at every moment', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, tightLimits, flags, async (steps, limits, sampled) => {
        const play = await new Play(sampled, limits).run(steps);
        const { received } = play;
        expect(new Set(received).size).toBe(received.length);
        const discarded = play.spans.filter(({ hasEnded, index }) => hasEnded && !received.includes(index));
        for (const { started } of discarded) expect(started.spanContext().traceFlags).toBe(0);
        // What the head had sampled is handed on, kept or not.
        for (const { index, started, hasEnded } of play.spans) {
          if (hasEnded && started.spanContext().traceFlags === 1) expect(play.exported).toContain(index);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('holds, evicts and keeps the same, whatever the head has sampled', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, tightLimits, flags, flags, async (steps, limits, some, others) => {
        const one = await new Play(some, limits).run(steps);
        const other = await new Play(others, limits).run(steps);
        const inverted = await new Play(
          some.map((flag) => !flag),
          limits,
        ).run(steps);
        expect(other.history).toEqual(one.history);
        expect(inverted.history).toEqual(one.history);
        expect(other.kept).toEqual(one.kept);
        expect(inverted.kept).toEqual(one.kept);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps what it should, and nothing else, where no limit is met', async () => {
    await fc.assert(
      fc.asyncProperty(calmSchedule, flags, async (steps, sampled) => {
        const play = await new Play(sampled, {}).run(steps);
        const isReason = ({ endsWith }: { endsWith: string | undefined }) =>
          endsWith === 'failed' || endsWith === 'slow';
        const expected = play.spans.filter((span) => {
          if (!span.hasEnded) return false;
          if (span.certainty === 'head') return true;
          if (span.certainty === 'none') return false;
          const localRoot = span.localRoot ?? span;
          const isKept = play.spans.some((other) => {
            return (other.localRoot ?? other) === localRoot && !other.endedAfterRoot && isReason(other);
          });
          return isKept || isReason(span);
        });
        expect(play.kept).toEqual(expected.map(({ index }) => index));
      }),
      { numRuns: 200 },
    );
  });
});
