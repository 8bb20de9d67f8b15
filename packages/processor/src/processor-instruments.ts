import { createInstruments, type Instruments, METRIC } from '@otel-resilience/core';
import type { ProcessorStats } from './processor-stats.js';

/** `otel.sdk.processor.span.*`, read from the processor's stats when metrics are collected, and how long exports take. */
export function processorInstruments(stats: () => ProcessorStats, enabled: boolean): Instruments {
  const observed: Parameters<typeof createInstruments>[1] = [
    {
      kind: 'counter',
      name: METRIC.spanProcessed,
      unit: '{span}',
      description: 'Spans whose processing has ended: handed to the exporter, or dropped before (error.type).',
      read: (report) => {
        const { dispatched, neverDispatched } = stats().ledger.beside;
        report(dispatched);
        for (const reason in neverDispatched) report(neverDispatched[reason]!, { 'error.type': reason });
      },
    },
    {
      kind: 'upDownCounter',
      name: METRIC.queueSize,
      unit: '{span}',
      description: 'Spans in the queue.',
      read: (report) => report(stats().queue.spans),
    },
    {
      kind: 'upDownCounter',
      name: METRIC.queueCapacity,
      unit: '{span}',
      description: 'Spans the queue may hold.',
      read: (report) => report(stats().queue.maxSpans),
    },
  ];
  return createInstruments('AdaptiveBatchSpanProcessor', observed, { enabled, duration: METRIC.exportDuration });
}
