import { describe, expect, it } from 'vitest';
import type { CrashResult } from './run-crash.js';
import { crashVerdict } from './verdict.js';

const result = (values: Partial<CrashResult> = {}): CrashResult => ({
  ended: 1_000,
  received: 950,
  missing: 50,
  unexpected: 0,
  duplicates: 3,
  onDisk: 400,
  onDiskMissing: 0,
  unansweredRequests: 2,
  lostToCrash: { processes: 1, atMost: 60, lastHeardOf: 0 },
  balanced: true,
  totals: {
    ended: 500,
    recovered: 400,
    delivered: 900,
    rejected: 0,
    archived: 0,
    waiting: 0,
    unsampled: 0,
    dropped: {},
  },
  shutdownMillis: 5,
  shutdownError: undefined,
  endedByItself: true,
  ...values,
});

describe('crashVerdict', () => {
  it('has nothing to say when no more is missing than was said, and all arrived that was on disk', () => {
    expect(crashVerdict(result())).toEqual([]);
    expect(crashVerdict(result({ missing: 60, unexpected: 10 }))).toEqual([]);
  });

  const { totals } = result();
  it.each<[Partial<CrashResult>, string]>([
    [{ ended: 0 }, 'no span ended'],
    [{ onDisk: 0 }, 'nothing was in the spool'],
    [{ onDiskMissing: 1 }, '1 of 400 spans that were in the spool are missing'],
    [{ lostToCrash: undefined }, 'does not know'],
    [{ missing: 61 }, '61 spans are missing, and the application says at most 60'],
    [{ unexpected: 11 }, '11 spans were received of which the application never told'],
    [{ balanced: false }, 'did not add up'],
    [{ totals: { ...totals, waiting: 1 } }, '1 spans were still waiting'],
    [{ totals: { ...totals, dropped: { spool_full: 2 } } }, '2 spans were dropped (spool_full)'],
  ])('names what speaks against it: %j', (values, complaint) => {
    expect(crashVerdict(result(values))).toEqual([expect.stringContaining(complaint)]);
  });
});
