import { accessSync, constants } from 'node:fs';
import { type Clock, ConfigurationError, describeError, toError, totalDropped } from '@otel-resilience/core';
import type { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import {
  type ArchiveTierStats,
  LedgerCheckpoint,
  MemorySpool,
  type MemorySpoolOptions,
  makeDirectorySync,
  Spool,
  type TieredSpanExporter,
} from '@otel-resilience/tiered';
import type { ResilienceOptions } from './resilience-options.js';
import { writtenAt } from './written-at.js';

/** On disk where there is a directory for it, else in memory. */
export function makeSpool(options: ResilienceOptions['spool'], clock: Clock | undefined): MemorySpool | Spool {
  return writtenAt('resilience.spool', () => {
    if (options === undefined || !('directory' in options)) return new MemorySpool(checkForMemory(options ?? {}));
    const spool = new Spool({ ...options, clock });
    if (options.required) checkWritable(options.directory);
    return spool;
  });
}

/** What lets the next process say what this one lost, if it is killed; of use where spans outlive the process. */
export function makeCheckpoint(
  spool: MemorySpool | Spool,
  processor: AdaptiveBatchSpanProcessor,
  tiered: TieredSpanExporter,
  clock: Clock | undefined,
): LedgerCheckpoint | undefined {
  if (!('directory' in spool)) return undefined;
  const books = {
    read: () => {
      const { ended, unsampled, delivered, rejected, handedToSpool, dropped } = processor.stats().ledger;
      const gone = unsampled + delivered + rejected + totalDropped(dropped);
      const { warm, cold } = tiered.stats();
      // What waits in memory is as good as lost. Of an archive's, nobody knows what is a copy.
      const archiving = [warm, cold].reduce((sum, tier) => sum + (tier ? inMemory(tier) : 0), 0);
      return { ended, settled: gone + Math.max(0, handedToSpool - spool.status().spansInMemory - archiving) };
    },
    witness: processor.witness.bind(processor),
  };
  return new LedgerCheckpoint({ directory: spool.directory, books, clock });
}

const inMemory = ({ durable, routedSpans, divertedSpans, spool }: ArchiveTierStats): number =>
  durable ? 0 : Math.min(routedSpans + divertedSpans, spool.waiting);

/** What waits in memory has one option; who gives others means a disk. */
function checkForMemory(options: MemorySpoolOptions): MemorySpoolOptions {
  for (const key of Object.keys(options)) {
    if (key === 'maxBytes') continue;
    const expected = 'maxBytes alone, or a directory and the options of a spool on disk';
    throw new ConfigurationError(`MemorySpool.${key}`, expected, `the unknown key ${key}`);
  }
  return { ...options };
}

/** At once, so that an application that cannot do without does not start. */
function checkWritable(directory: string): void {
  try {
    makeDirectorySync(directory);
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (thrown) {
    const why = describeError(toError(thrown));
    const expected = `a directory that can be written to (required is set): ${why}`;
    throw new ConfigurationError('Spool.directory', expected, directory);
  }
}
