import { createInstruments, type Instruments } from '@otel-resilience/core';
import type { TrimCounts } from './trim-span.js';

const DESCRIPTION: Readonly<Record<keyof TrimCounts, string>> = {
  spans: 'Spans that were made smaller because the level asked for it.',
  attributes: 'Attributes removed from spans, events and links.',
  values: 'Attributes of which the value was cut.',
  events: 'Events removed from spans.',
};

/** `otel_resilience.processor.trimmed.*`, read from the counts when metrics are collected. */
export function trimmingInstruments(counts: Readonly<TrimCounts>, enabled: boolean): Instruments {
  const observed = (Object.keys(DESCRIPTION) as Array<keyof TrimCounts>).map((what) => ({
    kind: 'counter' as const,
    name: `otel_resilience.processor.trimmed.${what}`,
    unit: `{${what === 'values' ? 'attribute' : what.slice(0, -1)}}`,
    description: DESCRIPTION[what],
    read: (report: (value: number) => void) => report(counts[what]),
  }));
  return createInstruments('AttributeTrimmingSpanProcessor', observed, { enabled });
}
