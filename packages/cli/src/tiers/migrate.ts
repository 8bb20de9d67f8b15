import {
  Lifecycle,
  type LifecycleCount,
  type LifecycleProgress,
  type LifecycleReport,
  type StorageClass,
} from '@otel-resilience/tiered';
import type { CommandResult, Context } from '../command.js';
import { CommandError, EXIT } from '../exit-code.js';
import { byteSize, counted, duration, listed, printable } from '../format.js';
import { interruptible } from '../interruption.js';
import { startProgress } from '../progress.js';
import type { Terminal } from '../terminal.js';
import { identityOf } from './directory.js';
import { type Location, shownLocation } from './location.js';
import type { S3Flags } from './parameters.js';
import { withTiers } from './tier.js';
import { durationText, NEVER } from './times.js';

export interface MigrateFlags extends S3Flags {
  readonly cold?: Location;
  readonly coldClass: StorageClass;
  /** Milliseconds. */
  readonly coldAfter: number;
  readonly deleteAfter: number;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export async function migrateTiers(warm: Location, flags: MigrateFlags, { terminal }: Context): Promise<CommandResult> {
  const { cold, coldClass, coldAfter, deleteAfter, dryRun } = flags;
  if (deleteAfter < coldAfter) throw wrong('--delete-after: expected no less than --cold-after');
  const wanted = [{ location: warm }, ...(cold ? [{ location: cold, isCold: true }] : [])];
  return withTiers(wanted, flags, terminal, async ([from, to]) => {
    if (cold && (await identityOf(cold)) === (await identityOf(warm))) {
      throw wrong('--cold: the same place as warm. Leave it out, and old objects get another class where they are');
    }
    const lifecycle = new Lifecycle({
      warm: from!.retrying,
      ...(to && { cold: to.retrying }),
      coldStorageClass: coldClass,
      coldAfterMillis: coldAfter,
      deleteAfterMillis: deleteAfter,
    });
    const words = wordsFor(warm, flags);
    const report = await interruptible(terminal, (signal) => run(lifecycle, { dryRun, words, terminal, signal }));
    return {
      exitCode: report.complete && report.damaged.count === 0 ? EXIT.fine : EXIT.incomplete,
      text: textOf(report, words).join('\n'),
      json: jsonOf(warm, flags, report),
    };
  });
}

interface Run {
  readonly dryRun: boolean;
  readonly words: Words;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Looks what there is to do first, by listing, so that it is said before it is done. */
async function run(lifecycle: Lifecycle, { dryRun, words, terminal, signal }: Run): Promise<LifecycleReport> {
  const planned = await terminal.quietly(() => lifecycle.run({ dryRun: true, countKept: dryRun, signal }));
  const { moved, deleted, orphans } = planned;
  if (dryRun) return planned;
  const total = moved.objects + deleted.objects;
  if (!planned.complete || total + orphans === 0) return { ...planned, dryRun, ...NOTHING_DONE };
  if (moved.objects > 0) terminal.note(`moving ${sized(moved)} ${words.way}`);
  if (deleted.objects > 0) terminal.note(`deleting ${sized(deleted)} ${words.old}`);
  const progress = startProgress(terminal, total, 'object');
  const onProgress = ({ moved, deleted, failed }: LifecycleProgress) =>
    progress.update(moved.objects + deleted.objects + failed);
  try {
    return await terminal.quietly(() => lifecycle.run({ signal, onProgress }));
  } finally {
    progress.end();
  }
}

const NONE = { objects: 0, bytes: 0 };
const NOTHING_DONE = { moved: NONE, deleted: NONE, repaired: NONE, orphans: 0 };

/** How these places and ages are spoken of. */
interface Words {
  readonly way: string;
  readonly old: string;
}

function wordsFor(warm: Location, { cold, coldClass, deleteAfter }: MigrateFlags): Words {
  const from = shownLocation(warm);
  return {
    way: cold ? `from ${from} to ${shownLocation(cold)} (${coldClass})` : `in ${from} to ${coldClass}`,
    old: deleteAfter === NEVER ? 'of any age' : `older than ${durationText(deleteAfter)}`,
  };
}

function textOf(report: LifecycleReport, { way, old }: Words): string[] {
  const { dryRun, moved, deleted, repaired, orphans, damaged, failed, foreign, kept, heldBack } = report;
  const lines = dryRun
    ? [`would move ${sized(moved)} ${way}; would delete ${sized(deleted)} ${old}`]
    : [`${sized(moved)} moved ${way}, ${sized(deleted)} ${old} deleted in ${duration(report.durationMillis)}`];
  if (kept) lines.push(`would stay as they are: ${sized(kept.warm)} in warm, ${sized(kept.cold)} in cold`);
  const would = dryRun ? 'would be ' : '';
  if (repaired.objects > 0) lines.push(`${counted(repaired.objects, 'index', 'indexes')} ${would}made anew`);
  if (orphans > 0) lines.push(`${counted(orphans, 'index', 'indexes')} without data ${would}removed`);
  if (heldBack) lines.push(`${sized(heldBack)} left for now: ${heldBack.reason}`);
  if (damaged.count > 0) {
    const keys = listed(damaged.keys, damaged.count);
    lines.push(`${counted(damaged.count, 'damaged object')} left until old enough to be deleted: ${keys}`);
  }
  if (foreign.count > 0) lines.push(`not ours, left alone: ${listed(foreign.names, foreign.count)}`);
  for (const { key, message } of failed.errors) lines.push(`failed: ${printable(key)}: ${printable(message)}`);
  if (failed.count > failed.errors.length) lines.push(`and ${failed.count - failed.errors.length} more have failed`);
  if (!report.complete && !dryRun) {
    const why = report.interrupted ? 'ended between two objects: ' : '';
    lines.push(`${why}what is left is where it was, run it again`);
  }
  return lines;
}

const sized = ({ objects, bytes, spans }: LifecycleCount): string => {
  const inIt = [byteSize(bytes), ...(spans === undefined ? [] : [counted(spans, 'span')])];
  return objects === 0 ? 'nothing' : `${counted(objects, 'object')} (${inIt.join(', ')})`;
};

function jsonOf(warm: Location, { cold, coldClass, coldAfter, deleteAfter }: MigrateFlags, report: LifecycleReport) {
  const { dryRun, complete, interrupted, moved, deleted, repaired, orphans, kept, heldBack } = report;
  const { damaged, failed, foreign } = report;
  return {
    warm: shownLocation(warm),
    cold: cold ? shownLocation(cold) : null,
    coldClass,
    coldAfterMillis: coldAfter,
    deleteAfterMillis: deleteAfter === NEVER ? null : deleteAfter,
    dryRun,
    complete,
    interrupted,
    durationMillis: Math.round(report.durationMillis),
    moved: { ...sizeJson(moved), spans: dryRun ? null : (moved.spans ?? 0) },
    deleted: sizeJson(deleted),
    repaired: sizeJson(repaired),
    orphans,
    kept: kept ? { warm: sizeJson(kept.warm), cold: sizeJson(kept.cold) } : null,
    heldBack: heldBack ? { ...sizeJson(heldBack), reason: heldBack.reason } : null,
    damaged,
    failed,
    foreign,
  };
}

const sizeJson = ({ objects, bytes }: LifecycleCount) => ({ objects, bytes });

const wrong = (message: string): CommandError =>
  new CommandError(EXIT.usage, message, 'See otel-resilience tiers migrate --help.');
