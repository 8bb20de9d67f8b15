import { systemClock } from '@otel-resilience/core';
import { RetryingSpanExporter } from '@otel-resilience/exporter';
import { Pace } from '@otel-resilience/tiered';
import type { CommandResult, Context } from '../command.js';
import { endpointExporter, shownEndpoint } from '../endpoint-exporter.js';
import type { EndpointFlags } from '../endpoint-flags.js';
import { EXIT } from '../exit-code.js';
import { byteSize, count, counted, duration } from '../format.js';
import { interruptible } from '../interruption.js';
import { startProgress } from '../progress.js';
import type { Terminal } from '../terminal.js';
import { inUse } from './directory-error.js';
import { keepDamaged } from './keep-damaged.js';
import { read } from './ls.js';
import { openSpool } from './open-spool.js';
import { Sender } from './sender.js';
import { totalsOf } from './totals.js';

export interface ReplayFlags extends EndpointFlags {
  readonly rate?: number;
  readonly order: 'oldest' | 'newest';
  readonly limit?: number;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** After the first batch: a collector that restarts is waited for. */
const RETRIES = { maxRetries: 8, initialDelayMillis: 250, maxDelayMillis: 10_000, budget: false } as const;

export async function replayDirectory(
  directory: string,
  flags: ReplayFlags,
  { terminal }: Context,
): Promise<CommandResult> {
  const exporter = new RetryingSpanExporter({ exporter: endpointExporter(flags, 'spool replay'), ...RETRIES });
  try {
    if (flags.dryRun) return await preview(directory, flags);
    return await interruptible(terminal, (interruption) =>
      send(directory, flags, { terminal, interruption }, exporter),
    );
  } finally {
    await exporter.shutdown();
  }
}

async function preview(directory: string, { endpoint, rate, limit = Number.POSITIVE_INFINITY }: ReplayFlags) {
  const listing = await read(directory);
  const owner = listing.directories[0]?.owner;
  if (owner && owner.state !== 'dead') throw inUse(directory, owner.pid, owner.state === 'unknown');
  const { spans, batches, segments, bytes } = totalsOf(listing);
  const wouldSend = Math.min(spans, limit);
  const where = `${counted(batches, 'batch', 'batches')}, ${counted(segments, 'segment')}, ${byteSize(bytes)}`;
  const takes = rate === undefined ? '' : `, in ${duration((wouldSend / rate) * 1_000)} at least`;
  const text = `would send ${count(wouldSend)} of ${counted(spans, 'span')} (${where}) to ${shownEndpoint(endpoint)}${takes}`;
  return {
    exitCode: EXIT.fine,
    text,
    json: { directory, endpoint: shownEndpoint(endpoint), dryRun: true, waiting: spans, wouldSend },
  };
}

async function send(
  directory: string,
  flags: ReplayFlags,
  { terminal, interruption }: { terminal: Terminal; interruption: AbortSignal },
  exporter: RetryingSpanExporter,
): Promise<CommandResult> {
  const { limit = Number.POSITIVE_INFINITY, rate, endpoint, order } = flags;
  const startedAt = performance.now();
  const damaged = await keepDamaged(directory, terminal);
  const spool = await openSpool({ directory, order, terminal, interruption });
  const waiting = spool.size + damaged.spans;
  terminal.note(
    `sending ${counted(Math.min(spool.size, limit), 'span')} from ${directory} to ${shownEndpoint(endpoint)}`,
  );
  const progress = startProgress(terminal, Math.min(spool.size, limit), 'span');
  const sender = new Sender({
    spool,
    exporter,
    clock: systemClock,
    pace: new Pace(rate, systemClock),
    order,
    limit,
    interruption,
    onProgress: (spans) => progress.update(spans),
  });
  try {
    await sender.run();
  } finally {
    progress.end();
    await spool.shutdown();
  }
  const { sent, rejected, refused } = sender.counts;
  const { dropped } = spool.stats();
  const corrupt = damaged.spans + (dropped.corrupt ?? 0);
  const corruptRegions = damaged.frames + spool.status().corrupt.frames;
  const left = spool.stats().waiting;
  const interrupted = interruption.aborted;
  const isDone = left === 0 || sent + rejected >= limit;
  const durationMillis = Math.round(performance.now() - startedAt);
  const failures = [...sender.failures].map(([message, spans]) => ({ message, spans }));
  const isWhole = rejected === 0 && refused === 0 && corrupt === 0 && corruptRegions === 0 && failures.length === 0;
  const isFine = isDone && isWhole && !interrupted;
  const parts = [`${counted(sent, 'span')} sent to ${shownEndpoint(endpoint)} in ${duration(durationMillis)}`];
  if (rejected > 0) parts.push(`${counted(rejected, 'span')} rejected by it for good`);
  if (corrupt > 0 || corruptRegions > 0) parts.push(`${counted(corrupt, 'span')} damaged`);
  parts.push(`${counted(left, 'span')} left in ${directory}`);
  const text = [parts.join('; '), ...failures.map(({ message, spans }) => `${counted(spans, 'span')}: ${message}`)];
  if (left > 0 && refused > 0)
    text.push('What was refused is still there: look at the endpoint and its headers, and run it again.');
  return {
    exitCode: isFine ? EXIT.fine : EXIT.incomplete,
    text: text.join('\n'),
    json: {
      directory,
      endpoint: shownEndpoint(endpoint),
      dryRun: false,
      waiting,
      sent,
      rejected,
      refused,
      corrupt,
      left,
      interrupted,
      durationMillis,
      failures,
    },
  };
}
