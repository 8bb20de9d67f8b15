import { type ListedSegment, listSpool, type SpoolListing } from '@otel-resilience/tiered';
import type { CommandResult } from '../command.js';
import { EXIT } from '../exit-code.js';
import { byteSize, count, counted, duration, isoTime, listed, printable, timestamp } from '../format.js';
import { type Column, renderTable } from '../table.js';
import { directoryError } from './directory-error.js';
import { segmentLabel } from './segment-label.js';
import { type Totals, totalsOf } from './totals.js';

const COLUMNS: ReadonlyArray<Column<ListedSegment>> = [
  { title: 'segment', value: ({ path }) => segmentLabel(path) },
  { title: 'spans', alignment: 'right', value: ({ spans }) => count(spans) },
  { title: 'batches', alignment: 'right', value: ({ frames }) => count(frames) },
  { title: 'done', alignment: 'right', value: ({ settledFrames }) => count(settledFrames) },
  { title: 'size', alignment: 'right', value: ({ bytes }) => byteSize(bytes) },
  { title: 'oldest', value: ({ oldestMillis }) => (oldestMillis === undefined ? '' : timestamp(oldestMillis)) },
  { title: 'newest', value: ({ newestMillis }) => (newestMillis === undefined ? '' : timestamp(newestMillis)) },
  { title: 'damage', value: damageOf },
];

export async function listDirectory(directory: string): Promise<CommandResult> {
  const listing = await read(directory);
  const totals = totalsOf(listing);
  const exitCode = totals.corruptRegions > 0 || totals.unreadableSegments > 0 ? EXIT.incomplete : EXIT.fine;
  return {
    exitCode,
    text: textOf(listing).join('\n'),
    json: { ...jsonOf(directory, listing), totals: totalsJson(totals) },
  };
}

export async function read(directory: string): Promise<SpoolListing> {
  try {
    return await listSpool({ directory });
  } catch (error) {
    throw directoryError(directory, error);
  }
}

function textOf(listing: SpoolListing): string[] {
  const lines: string[] = [];
  for (const { path, owner, segments } of listing.directories) {
    const ownedBy = owner && owner.state !== 'dead' ? `process ${owner.pid}${STATES[owner.state]}` : 'no process';
    lines.push(`${printable(path)}: in use by ${ownedBy}`);
    lines.push(segments.length > 0 ? renderTable(COLUMNS, segments) : 'no segments');
  }
  if (listing.quarantine.length > 0)
    lines.push('quarantine: never sent again', renderTable(COLUMNS, listing.quarantine));
  if (listing.foreign.length > 0) lines.push(`not ours, left alone: ${listed(listing.foreign)}`);
  const { spans, batches, segments, bytes, oldestMillis } = totalsOf(listing);
  const since = oldestMillis === undefined ? '' : `, the oldest for ${duration(Date.now() - oldestMillis)}`;
  const where = `${counted(segments, 'segment')} (${byteSize(bytes)})`;
  lines.push(`${counted(spans, 'span')} in ${counted(batches, 'batch', 'batches')} wait in ${where}${since}`);
  return lines;
}

const STATES = { alive: '', unknown: ' of another machine or container', dead: '' };

function damageOf({ corrupt, torn, error }: ListedSegment): string {
  if (error) return `cannot be read: ${error.message}`;
  const found: string[] = [];
  if (corrupt.frames > 0) found.push(`${byteSize(corrupt.bytes)} in ${counted(corrupt.frames, 'place')}`);
  // What a crash has left of an append is cut off at the next start: nothing that was promised is lost with it.
  if (torn.bytes > 0) found.push(`${byteSize(torn.bytes)} unfinished at the end`);
  return found.join(', ');
}

function jsonOf(directory: string, { directories, quarantine, foreign }: SpoolListing) {
  return {
    directory,
    directories: directories.map(({ path, owner, segments }) => ({
      path,
      owner: owner ? { pid: owner.pid, state: owner.state } : null,
      segments: segments.map(segmentJson),
    })),
    quarantine: quarantine.map(segmentJson),
    foreign,
  };
}

const segmentJson = ({
  path,
  bytes,
  frames,
  spans,
  settledFrames,
  oldestMillis,
  newestMillis,
  corrupt,
  torn,
  error,
}: ListedSegment) => ({
  path,
  bytes,
  spans,
  batches: frames,
  settledBatches: settledFrames,
  oldest: oldestMillis === undefined ? null : isoTime(oldestMillis),
  newest: newestMillis === undefined ? null : isoTime(newestMillis),
  corruptRegions: corrupt.frames,
  corruptBytes: corrupt.bytes,
  unfinishedBytes: torn.bytes,
  error: error ? error.message : null,
});

const totalsJson = ({ oldestMillis, ...counts }: Totals) => ({
  ...counts,
  oldest: oldestMillis === undefined ? null : isoTime(oldestMillis),
});
