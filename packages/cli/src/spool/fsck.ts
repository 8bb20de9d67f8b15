import { type FsckCount, type FsckDirectory, type FsckReport, type FsckSegment, fsck } from '@otel-resilience/tiered';
import type { CommandResult, Context } from '../command.js';
import { EXIT } from '../exit-code.js';
import { byteSize, count, counted, listed, printable } from '../format.js';
import { type Progress, startProgress } from '../progress.js';
import { type Column, renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { directoryError } from './directory-error.js';
import { segmentLabel } from './segment-label.js';

export interface FsckFlags {
  readonly repair: boolean;
  readonly json: boolean;
}

const COLUMNS: ReadonlyArray<Column<FsckSegment>> = [
  { title: 'segment', value: ({ path }) => segmentLabel(path) },
  { title: 'size', alignment: 'right', value: ({ bytes }) => byteSize(bytes) },
  { title: 'intact spans', alignment: 'right', value: ({ waiting }) => count(waiting.spans) },
  { title: 'damaged', alignment: 'right', value: ({ corrupt }) => (corrupt.bytes > 0 ? byteSize(corrupt.bytes) : '') },
  { title: 'lost spans', alignment: 'right', value: ({ corrupt }) => (corrupt.spans > 0 ? count(corrupt.spans) : '') },
  { title: 'problems', value: ({ problems, error }) => (error ? error.message : problems.join(', ')) },
  { title: 'repaired', value: ({ repaired }) => (repaired === undefined ? '' : repaired ? 'yes' : 'no') },
];

export async function checkDirectory(
  directory: string,
  { repair }: FsckFlags,
  { terminal }: Context,
): Promise<CommandResult> {
  const report = await check(directory, repair, terminal);
  const isInUse = report.directories.some(({ notRepaired }) => notRepaired);
  const isDamaged = report.directories.some((each) => damaged(each).some(({ repaired }) => !repaired));
  const exitCode = isInUse ? EXIT.inUse : isDamaged ? EXIT.incomplete : EXIT.fine;
  return { exitCode, text: textOf(report, repair).join('\n'), json: jsonOf(directory, report, repair, !isDamaged) };
}

async function check(directory: string, repair: boolean, terminal: Terminal): Promise<FsckReport> {
  let progress: Progress | undefined;
  let current: string | undefined;
  try {
    return await fsck({
      directory,
      repair,
      onProgress: ({ path, checkedSegments, segments }) => {
        if (path !== current) {
          progress?.end();
          progress = startProgress(terminal, segments, 'segment');
          current = path;
        }
        progress?.update(checkedSegments);
      },
    });
  } catch (error) {
    throw directoryError(directory, error);
  } finally {
    progress?.end();
  }
}

/** What a live owner is appending looks torn. */
function damaged({ owner, segments }: FsckDirectory): readonly FsckSegment[] {
  const isLive = owner === 'alive' || owner === 'unknown';
  return segments.filter(({ problems }) => problems.some((problem) => !(isLive && problem === 'torn')));
}

function textOf({ directories, waiting, corrupt, foreign, quarantine }: FsckReport, repair: boolean): string[] {
  const lines: string[] = [];
  let wrong = 0;
  for (const directory of directories) {
    const { path, owner, segments, notRepaired } = directory;
    const found = damaged(directory);
    wrong += found.length;
    const use = {
      nobody: '',
      dead: '',
      alive: ', in use',
      unknown: ', perhaps in use by another machine or container',
    };
    lines.push(
      `${printable(path)}: ${counted(segments.length, 'segment')}, ${counted(found.length, 'damaged one')}${use[owner]}`,
    );
    if (notRepaired) lines.push('not repaired, since a process has it: stop that one first');
    if (found.length > 0) lines.push(renderTable(COLUMNS, found));
  }
  if (foreign.length > 0) lines.push(`not ours, left alone: ${listed(foreign)}`);
  if (quarantine.segments > 0) {
    lines.push(
      `${counted(quarantine.segments, 'segment')} in quarantine (${byteSize(quarantine.bytes)}): never sent again`,
    );
  }
  const lost = corrupt.spans > 0 ? `, ${counted(corrupt.spans, 'span')} of damaged batches are not` : '';
  lines.push(
    `${counted(waiting.spans, 'span')} in ${counted(waiting.frames, 'batch', 'batches')} are intact and wait to be sent${lost}`,
  );
  if (wrong > 0 && !repair) lines.push('repair it, while no process has it, with: otel-resilience spool fsck --repair');
  return lines;
}

function jsonOf(directory: string, report: FsckReport, repair: boolean, clean: boolean) {
  const { directories, waiting, settled, corrupt, torn, repeated, foreign, quarantine } = report;
  return {
    directory,
    repair,
    clean,
    directories: directories.map(({ path, owner, notRepaired, segments }) => ({
      path,
      owner,
      inUse: notRepaired !== undefined,
      segments: segments.map(segmentJson),
    })),
    totals: countsJson({ waiting, settled, corrupt, torn, repeated }),
    quarantine,
    foreign,
  };
}

const segmentJson = ({ path, bytes, problems, repaired, error, ...counts }: FsckSegment) => ({
  path,
  bytes,
  ...countsJson(counts),
  problems,
  repaired: repaired ?? null,
  error: error ? error.message : null,
});

type Counts = Pick<FsckReport, 'waiting' | 'settled' | 'corrupt' | 'torn' | 'repeated'>;

const countsJson = ({ waiting, settled, corrupt, torn, repeated }: Counts) => ({
  waiting: countJson(waiting),
  settled: countJson(settled),
  corrupt: countJson(corrupt),
  unfinished: countJson(torn),
  repeated: countJson(repeated),
});

const countJson = ({ frames, spans, bytes }: FsckCount) => ({ batches: frames, spans, bytes });
