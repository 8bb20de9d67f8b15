import { describe, expect, it } from 'vitest';
import type { Level } from '../level.js';
import type { Counted, PhaseResult } from './phase-results.js';
import type { PressureResult } from './run-pressure.js';
import { createPressureScenario } from './scenario.js';
import type { Transition } from './transition.js';
import { deviation, pressureVerdict } from './verdict.js';

const counted: Counted = {
  requests: 6_000,
  estimate: { requests: 6_100, standardError: 90, sample: 900, unknown: 0 },
  trueStandardError: 100,
  errors: { expected: 300, received: 300 },
  slow: { expected: 100, received: 100 },
};

const transitions: Transition[] = [
  { time: 5_000, from: 'normal', to: 'moderate', cause: 'trigger', trigger: 'cpu', value: 88, threshold: 80 },
  { time: 9_000, from: 'moderate', to: 'light', cause: 'recovery' },
  { time: 10_001, from: 'light', to: 'normal', cause: 'recovery' },
];

const phases = (change: (phase: PhaseResult) => Partial<PhaseResult> = () => ({})): PhaseResult[] =>
  createPressureScenario(1).phases.map((phase) => {
    const { name, until } = phase;
    const highest: Level = until === 'raised' ? 'moderate' : 'normal';
    const asked: PhaseResult['asked'] =
      name === 'cpu' ? { cpu: 'moderate' } : name === 'loop' ? { eventLoop: 'moderate' } : {};
    const played = { phase, startedAt: 0, endedAt: 1, asked, reached: true, riseMillis: undefined, transitions: [] };
    const result = { ...counted, ...played, levels: [highest], highest, lowestRatio: 1 };
    return { ...result, ...change(result) };
  });

const inPhase = (name: string, values: Partial<PhaseResult>) => ({
  phases: phases(({ phase }) => (phase.name === name ? values : {})),
});

type Totals = PressureResult['ledger']['totals'];

const withLedger = (totals: Partial<Totals>, balanced = true) => ({
  ledger: {
    balanced,
    offending: undefined,
    samples: 1_500,
    longestGapMillis: 170,
    totals: {
      ended: 25_000,
      recovered: 0,
      delivered: 9_000,
      rejected: 0,
      archived: 0,
      waiting: 0,
      unsampled: 16_000,
      dropped: {},
      ...totals,
    },
  },
});

const result = (values: Partial<PressureResult> = {}): PressureResult => ({
  ...counted,
  startedAt: 0,
  phases: phases(),
  transitions,
  spans: { ended: 29_000, received: 9_000, missing: 20_000, unexpected: 0, duplicates: 4 },
  recordedSpans: 25_000,
  ...withLedger({}),
  failedRequests: 0,
  shutdownMillis: 10,
  shutdownError: undefined,
  endedByItself: true,
  ...values,
});

const shiftLast = (time: number): Transition[] => [...transitions.slice(0, 2), { ...transitions[2]!, time }];
const fallTo = (to: Level): Transition[] => [transitions[0]!, { ...transitions[1]!, to }];

describe('pressureVerdict', () => {
  it('has nothing to say when all was shown', () => {
    expect(pressureVerdict(result())).toEqual([]);
  });

  it.each<[string, Partial<PressureResult>, string]>([
    ['a level that stayed down', inPhase('cpu', { highest: 'normal' }), 'did not rise under burning cores'],
    ['a level that stayed up', inPhase('recovery', { reached: false }), 'did not come back to normal'],
    ['a busy host', inPhase('calm', { reached: false, asked: { cpu: 'light' } }), 'keep this host busy?'],
    ['a rise by something else', inPhase('loop', { asked: { cpu: 'light' } }), 'eventLoop never asked'],
    ['a recovery of two steps', { transitions: fallTo('normal') }, 'in one step'],
    ['a recovery too early', { transitions: shiftLast(9_900) }, '900 ms after it had moved last'],
    ['an error that is lost', { errors: { expected: 300, received: 299 } }, 'of 300 requests with an error only 299'],
    ['a slow request that is lost', { slow: { expected: 9, received: 8 } }, 'of 9 requests that were slow only 8'],
    ['a run without errors', { errors: { expected: 0, received: 0 } }, 'no requests with an error'],
    ['an estimate too high', { estimate: { ...counted.estimate, requests: 6_451 } }, '6451 requests were estimated'],
    ['an estimate too low', { estimate: { ...counted.estimate, requests: 5_549 } }, 'more than 4.5 standard errors'],
    ['an estimate with no chance in it', { trueStandardError: 0 }, 'more than 4.5 standard errors'],
    ['a request without threshold', { estimate: { ...counted.estimate, unknown: 1 } }, 'without a sampling threshold'],
    ['a lost span', { spans: { ...result().spans, received: 8_999 } }, '9000 spans were kept, 8999 arrived'],
    ['a span nobody sent', { spans: { ...result().spans, unexpected: 5 } }, '5 spans were received of which'],
    ['a ledger that was unbalanced once', withLedger({}, false), 'did not add up'],
    ['a span the ledger never saw', { recordedSpans: 25_001 }, 'the ledger counted 25000 ended spans, the shop 25001'],
    ['a dropped span', withLedger({ dropped: { queue_full: 1 } }), '1 spans were dropped (queue_full)'],
    ['a rejected span', withLedger({ rejected: 1 }), '1 spans were rejected'],
    ['a span left behind', withLedger({ waiting: 1 }), '1 spans were still waiting'],
    ['a request without an answer', { failedRequests: 1 }, '1 requests had no answer'],
    ['a run without load', { requests: 0 }, 'no requests'],
  ])('complains of %s', (_, values, complaint) => {
    expect(pressureVerdict(result(values)).join('\n')).toContain(complaint);
  });
});

describe('deviation', () => {
  it('is counted in true standard errors', () => {
    expect(deviation(result())).toBeCloseTo(1);
    expect(deviation(result({ trueStandardError: 0, estimate: { ...counted.estimate, requests: 6_000 } }))).toBe(0);
  });
});
