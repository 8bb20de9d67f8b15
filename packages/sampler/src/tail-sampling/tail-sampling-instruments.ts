import { createInstruments, type Instruments } from '@otel-resilience/core';
import { OWNER } from './options.js';
import type { TailSamplingStats } from './tail-sampling-stats.js';

const PREFIX = 'otel_resilience.tail_sampling';

/** Read from the processor's stats when metrics are collected. */
export function tailSamplingInstruments(stats: () => TailSamplingStats, enabled: boolean): Instruments {
  const held = (what: 'traces' | 'spans' | 'bytes', unit: string, description: string) => ({
    kind: 'upDownCounter' as const,
    name: `${PREFIX}.held.${what}`,
    unit,
    description,
    read: (report: (value: number) => void) => report(stats().held[what]),
  });
  const observed: Parameters<typeof createInstruments>[1] = [
    held('traces', '{trace}', 'Local traces that are held until their local root ends.'),
    held('spans', '{span}', 'Spans that are held.'),
    held('bytes', 'By', 'Estimated encoded size of the spans that are held.'),
    {
      kind: 'counter',
      name: `${PREFIX}.spans`,
      unit: '{span}',
      description: 'Spans decided on: kept by the tail, passed as the head sampled them, uncounted, or unsampled.',
      read: (report) => {
        const { kept, passed, uncounted, unsampled, unreadable } = stats();
        const decisions = { kept: kept.error + kept.slow + kept.rule, passed, uncounted, unsampled, unreadable };
        for (const [decision, spans] of Object.entries(decisions)) {
          report(spans, { 'otel_resilience.sampling.decision': decision });
        }
      },
    },
    {
      kind: 'counter',
      name: `${PREFIX}.kept`,
      unit: '{span}',
      description: 'Spans kept by the tail whatever the head had decided.',
      read: (report) => {
        for (const [reason, spans] of Object.entries(stats().kept)) {
          report(spans, { 'otel_resilience.sampling.reason': reason });
        }
      },
    },
    {
      kind: 'counter',
      name: `${PREFIX}.promoted`,
      unit: '{span}',
      description: 'Spans kept by the tail that the head had not sampled.',
      read: (report) => report(stats().promoted),
    },
    {
      kind: 'counter',
      name: `${PREFIX}.early_decisions`,
      unit: '{trace}',
      description: 'Local traces decided before their local root had ended.',
      read: (report) => {
        for (const [reason, traces] of Object.entries(stats().earlyDecisions)) {
          report(traces, { 'otel_resilience.tail_sampling.limit': reason });
        }
      },
    },
    {
      kind: 'counter',
      name: `${PREFIX}.late`,
      unit: '{span}',
      description: 'Spans that ended after their local trace had been decided.',
      read: (report) => report(stats().late),
    },
  ];
  return createInstruments(OWNER, observed, { enabled });
}
