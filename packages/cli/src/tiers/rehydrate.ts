import { ConfigurationError } from '@otel-resilience/core';
import { type RehydrateProgress, type RehydrateReport, type RestoreOptions, rehydrate } from '@otel-resilience/tiered';
import type { CommandResult, Context } from '../command.js';
import { endpointExporter, shownEndpoint } from '../endpoint-exporter.js';
import type { EndpointFlags } from '../endpoint-flags.js';
import { CommandError, EXIT } from '../exit-code.js';
import { byteSize, count, counted, duration, isoTime, printable, timestamp } from '../format.js';
import { interruptible } from '../interruption.js';
import { type Step, startSteps } from '../progress.js';
import type { Terminal } from '../terminal.js';
import { checkEndpoint } from './check-endpoint.js';
import { type Location, shownLocation } from './location.js';
import type { S3Flags } from './parameters.js';
import { type Tier, withTiers } from './tier.js';

export interface RehydrateFlags extends EndpointFlags, S3Flags {
  /** Milliseconds since the epoch. */
  readonly from?: number;
  readonly to?: number;
  readonly service?: readonly string[];
  readonly traceId?: readonly string[];
  readonly rate: number;
  readonly noRestore: boolean;
  readonly restoreDays: number;
  readonly restoreTier: NonNullable<RestoreOptions['tier']>;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export async function rehydrateTiers(
  locations: readonly Location[],
  flags: RehydrateFlags,
  { terminal }: Context,
): Promise<CommandResult> {
  const { from, to, dryRun } = flags;
  if (from !== undefined && to !== undefined && to < from) {
    throw new CommandError(
      EXIT.usage,
      '--to: expected a time after --from',
      'A duration is how long ago it was: 2h is before 1h.',
    );
  }
  // Nothing is tried twice below it: rehydration does that, and counts.
  const exporter = endpointExporter(flags, 'tiers rehydrate');
  try {
    const wanted = locations.map((location) => ({ location }));
    const report = await withTiers(wanted, flags, terminal, (tiers) =>
      interruptible(terminal, async (signal) => {
        // What is asked for now is paid for: first whether there is somebody to take it.
        if (!dryRun) await checkEndpoint(exporter, shownEndpoint(flags.endpoint), signal);
        return run(tiers, flags, { exporter, terminal, signal });
      }),
    );
    return {
      exitCode: isFine(report, flags) ? EXIT.fine : EXIT.incomplete,
      text: textOf(report, flags).join('\n'),
      json: jsonOf(locations, flags, report),
    };
  } finally {
    await exporter.shutdown();
  }
}

/** What a preview would have restored is no problem. */
function isFine(
  { dryRun, complete, interrupted, objects, error }: RehydrateReport,
  { noRestore }: RehydrateFlags,
): boolean {
  if (complete || !dryRun || noRestore) return complete;
  return !interrupted && error === undefined && objects.damaged + objects.failed === 0;
}

interface Run {
  readonly exporter: ReturnType<typeof endpointExporter>;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

async function run(tiers: readonly Tier[], flags: RehydrateFlags, { exporter, terminal, signal }: Run) {
  const { from, to, service, traceId, rate, noRestore, restoreDays: days, restoreTier: tier, dryRun } = flags;
  terminal.note(`looking for ${whatOf(flags)} in ${tiers.map(({ shown }) => shown).join(', ')}`);
  const steps = startSteps(terminal, { text: 'looking' });
  try {
    return await rehydrate({
      from: tiers.map(({ store }) => store),
      to: exporter,
      select: {
        ...(from !== undefined && { fromMillis: from }),
        ...(to !== undefined && { toMillis: to }),
        ...(service && { services: service }),
        ...(traceId && { traceIds: traceId }),
      },
      spansPerSecond: rate,
      restore: !noRestore && { days, tier },
      dryRun,
      signal,
      onProgress: (progress) => steps.update(stepOf(progress)),
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new CommandError(
      EXIT.usage,
      `${error.path}: expected ${error.expected}`,
      'See otel-resilience tiers rehydrate --help.',
    );
  } finally {
    steps.end();
  }
}

function whatOf({ from, to, service, traceId }: RehydrateFlags): string {
  const of = [
    traceId && counted(traceId.length, 'trace'),
    service?.map(printable).join(', '),
    from !== undefined && `from ${timestamp(from)}`,
    to !== undefined && `to ${timestamp(to)}`,
  ].filter(Boolean);
  return of.length > 0 ? `spans (${of.join('; ')})` : 'all spans';
}

function stepOf({ phase, objects, spans, fraction, etaMillis }: RehydrateProgress): Step {
  if (phase === 'finding') return { text: `${counted(objects.found, 'object')} found` };
  const sent =
    spans.expected === undefined
      ? counted(spans.sent, 'span')
      : `${count(spans.sent)} of ${counted(spans.expected, 'span')}`;
  const waiting = objects.restoring > 0 ? `, ${counted(objects.restoring, 'object')} being restored` : '';
  const text = `${sent}, ${count(objects.done)} of ${counted(objects.found, 'object')}${waiting}`;
  return { fraction, text, leftMillis: etaMillis };
}

const NOTHING = 'no object holds such spans';

function textOf(report: RehydrateReport, flags: RehydrateFlags): string[] {
  const { objects, problems, failures, error, resumeFromMillis } = report;
  const lines = report.dryRun ? [previewOf(report, flags)] : [sentOf(report, flags)];
  if (objects.archived > 0)
    lines.push(
      `${counted(objects.archived, 'object')} (${byteSize(report.archivedBytes)}) archived, ${archivedWhy(report, flags)}`,
    );
  if (objects.damaged > 0) lines.push(`${counted(objects.damaged, 'damaged object')} not sent`);
  if (objects.failed > 0) lines.push(`${counted(objects.failed, 'object')} could not be read`);
  for (const { key, state, message } of problems) {
    if (state !== 'archived' || !report.dryRun) lines.push(`  ${printable(key)}: ${printable(message)}`);
  }
  for (const { message, spans } of failures) lines.push(`${counted(spans, 'span')}: ${printable(message)}`);
  if (error !== undefined && !failures.some(({ message }) => message === error)) lines.push(printable(error));
  if (resumeFromMillis !== undefined)
    lines.push(`to send the rest, run it again with --from ${isoTime(resumeFromMillis)}`);
  return lines;
}

function sentOf({ complete, objects, spans, durationMillis }: RehydrateReport, { endpoint }: RehydrateFlags): string {
  if (objects.found === 0 && complete) return NOTHING;
  const from = `from ${count(objects.done)} of ${counted(objects.found, 'object')}`;
  const parts = [
    `${counted(spans.sent, 'span')} sent to ${shownEndpoint(endpoint)} in ${duration(durationMillis)}, ${from}`,
  ];
  if (spans.duplicates > 0) parts.push(`${counted(spans.duplicates, 'span')} there twice, and sent once`);
  if (spans.rejected > 0) parts.push(`${counted(spans.rejected, 'span')} rejected by it for good`);
  if (spans.dropped > 0) parts.push(`${counted(spans.dropped, 'span')} that cannot be sent`);
  if (spans.failed > 0) parts.push(`${counted(spans.failed, 'span')} not taken`);
  return parts.join('; ');
}

function previewOf(
  { complete, objects, foundSpans, expectedSpans, storedBytes }: RehydrateReport,
  { endpoint, rate }: RehydrateFlags,
): string {
  if (objects.found === 0 && complete) return NOTHING;
  const spans = expectedSpans ?? foundSpans;
  const most = expectedSpans === undefined ? 'at most ' : '';
  const where = `${counted(objects.found, 'object')}, ${byteSize(storedBytes)}`;
  return `would send ${most}${counted(spans, 'span')} (${where}) to ${shownEndpoint(endpoint)}, in ${duration((spans / rate) * 1_000)} or so`;
}

const archivedWhy = ({ dryRun }: RehydrateReport, { noRestore, restoreTier }: RehydrateFlags): string => {
  if (dryRun) return noRestore ? 'which would be left out' : `which would be restored first (${restoreTier})`;
  return noRestore ? 'and left out' : 'and not restored';
};

function jsonOf(locations: readonly Location[], { endpoint }: RehydrateFlags, report: RehydrateReport) {
  const { dryRun, complete, interrupted, objects, spans, problems, failures } = report;
  return {
    locations: locations.map(shownLocation),
    endpoint: shownEndpoint(endpoint),
    dryRun,
    complete,
    interrupted,
    durationMillis: Math.round(report.durationMillis),
    objects,
    storedBytes: report.storedBytes,
    archivedBytes: report.archivedBytes,
    foundSpans: report.foundSpans,
    expectedSpans: report.expectedSpans ?? null,
    spans,
    problems,
    failures,
    error: report.error ?? null,
    resumeFrom: report.resumeFromMillis === undefined ? null : isoTime(report.resumeFromMillis),
  };
}
