import Table from 'cli-table3';
import type { Results } from '../result-row.js';
import type { PipelineResult } from '../run-pipeline.js';
import { PIPELINES, type PipelineName } from '../scenario.js';
import { count, decimal, percent } from './format.js';

const COLUMNS: readonly [string, (result: PipelineResult) => string][] = [
  ['ended', ({ ended }) => count(ended)],
  ['received', ({ received, ended }) => `${count(received)} (${percent(received / ended)})`],
  ['missing', ({ missing }) => count(missing)],
  ['dupli-\ncates', ({ duplicates }) => count(duplicates)],
  ['app CPU\nper span', ({ cpuMicrosPerSpan }) => `${decimal(cpuMicrosPerSpan)} µs`],
  ['longest\nloop delay', ({ maxLoopDelayMillis }) => `${decimal(maxLoopDelayMillis)} ms`],
];

const LEGEND = `CPU: all that the application used, its HTTP work included, by spans ended; what a pipeline drops costs it nothing to send.
Loop delay: the longest time that the application's event loop was late.
All at the full sampling rate: in this act the level of otel-resilience is only monitored.`;

export function resultTable(results: Results): string {
  const table = new Table({
    head: ['pipeline', ...COLUMNS.map(([title]) => title)],
    colAligns: ['left', ...COLUMNS.map(() => 'right' as const)],
    style: { head: [], border: [] },
  });
  for (const [name, result] of Object.entries(results)) {
    table.push([PIPELINES[name as PipelineName], ...COLUMNS.map(([, cell]) => cell(result))]);
  }
  return `${table.toString()}\n${LEGEND}`;
}
