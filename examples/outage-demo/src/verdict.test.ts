import { describe, expect, it } from 'vitest';
import type { PipelineResult } from './run-pipeline.js';
import { verdict } from './verdict.js';

type Totals = NonNullable<PipelineResult['ledger']>['totals'];

const result = (values: Partial<PipelineResult> = {}): PipelineResult => ({
  ended: 100,
  received: 100,
  missing: 0,
  unexpected: 0,
  duplicates: 7,
  cpuMicrosPerSpan: 50,
  maxLoopDelayMillis: 10,
  shutdownMillis: 5,
  shutdownError: undefined,
  failedRequests: 0,
  endedByItself: true,
  ledger: undefined,
  ...values,
});

const ours = (totals: Partial<Totals> = {}, balanced = true) =>
  result({
    ledger: {
      balanced,
      offending: undefined,
      samples: 800,
      longestGapMillis: 60,
      totals: {
        ended: 100,
        recovered: 0,
        delivered: 100,
        rejected: 0,
        archived: 0,
        waiting: 0,
        unsampled: 0,
        dropped: {},
        ...totals,
      },
    },
  });

const stock = result({ received: 40, missing: 60 });

describe('verdict', () => {
  it('has nothing to say when only the stock pipelines lost spans', () => {
    expect(verdict({ stock, stockFailover: stock, resilient: ours() })).toEqual([]);
  });

  it('judges only what ran', () => {
    expect(verdict({ stock })).toEqual([]);
    expect(verdict({ resilient: ours() })).toEqual([]);
  });

  it.each([
    ['a missing span', { resilient: { ...ours(), missing: 1 } }, '1 of 100 spans are missing'],
    ['a dropped span', { resilient: ours({ dropped: { spool_full: 2 } }) }, '2 spans were dropped (spool_full)'],
    ['a rejected span', { resilient: ours({ rejected: 3 }) }, '3 spans were rejected'],
    ['a span left behind', { resilient: ours({ waiting: 4 }) }, '4 spans were still waiting'],
    ['a span the ledger never saw', { resilient: ours({ ended: 99 }) }, 'the ledger counted 99'],
    ['a ledger that was unbalanced once', { resilient: ours({}, false) }, 'did not add up'],
    ['a stock pipeline that received as much', { resilient: ours(), stockFailover: result() }, 'no fewer than'],
    ['a request without an answer', { stock: { ...stock, failedRequests: 1 } }, '1 requests had no answer'],
    ['a span nobody sent', { stock: { ...stock, unexpected: 5 } }, '5 spans were received of which'],
    ['a run without load', { stock: { ...stock, ended: 0 } }, 'no span ended'],
  ])('complains of %s', (_, results, complaint) => {
    expect(verdict(results).join('\n')).toContain(complaint);
  });
});
