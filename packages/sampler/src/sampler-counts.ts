import { createInstruments, type Instruments } from '@otel-resilience/core';

/** What a sampler has decided since it was constructed. */
export interface SamplerCounts {
  /** Spans, by decision: those of every kind, children too. */
  sampled: number;
  recordOnly: number;
  notRecorded: number;
  /** Sampled local roots that a rule was for … */
  rule: number;
  /** … and the others that were drawn by their randomness. */
  probabilistic: number;
  /** Sampled because the parent was: local children, and remote parents' while nothing thins them. */
  parent: number;
  /** Local roots that are not sampled but would have been, had it not been for the level or the rate target. */
  degraded: number;
  /** Sampled local roots that cannot be counted: their probability is not known, and no threshold is written. */
  unknown: number;
  /** Thresholds that were known but had no room in the tracestate; among the unknown ones. */
  notWritten: number;
  /** Times that the delegate or the controller threw, or that nothing sensible came from them. */
  failures: number;
}

export function noCounts(): SamplerCounts {
  return {
    sampled: 0,
    recordOnly: 0,
    notRecorded: 0,
    rule: 0,
    probabilistic: 0,
    parent: 0,
    degraded: 0,
    unknown: 0,
    notWritten: 0,
    failures: 0,
  };
}

const REASONS = ['rule', 'probabilistic', 'parent', 'degraded'] as const;

export function samplerInstruments(
  counts: Readonly<SamplerCounts>,
  ratio: () => number,
  { enabled }: { readonly enabled: boolean },
): Instruments {
  return createInstruments(
    'DegradationSampler',
    [
      {
        kind: 'counter',
        name: 'otel_resilience.sampler.decisions',
        unit: '{span}',
        description: 'Spans, by what the sampler decided.',
        read: (report) => {
          report(counts.sampled, { 'otel_resilience.sampler.decision': 'sampled' });
          report(counts.recordOnly, { 'otel_resilience.sampler.decision': 'record_only' });
          report(counts.notRecorded, { 'otel_resilience.sampler.decision': 'not_recorded' });
        },
      },
      {
        kind: 'counter',
        name: 'otel_resilience.sampler.reasons',
        unit: '{span}',
        description: 'Spans sampled, by reason; and local roots that are not, because of the level or the rate target.',
        read: (report) => {
          for (const reason of REASONS) report(counts[reason], { 'otel_resilience.sampler.reason': reason });
        },
      },
      {
        kind: 'counter',
        name: 'otel_resilience.sampler.unknown_thresholds',
        unit: '{span}',
        description: 'Sampled local roots whose probability is not known.',
        read: (report) => report(counts.unknown),
      },
      {
        kind: 'gauge',
        name: 'otel_resilience.sampler.ratio',
        unit: '1',
        description: 'The ratio in force for local roots that no rule is for.',
        read: (report) => report(ratio()),
      },
    ],
    { enabled },
  );
}
