import { describeError, toError } from '@otel-resilience/core';
import { type FsckSegment, fsck } from '@otel-resilience/tiered';
import { counted } from '../format.js';
import type { Terminal } from '../terminal.js';
import { directoryError } from './directory-error.js';

/** Damaged batches, and their spans as far as they are known. */
interface Damaged {
  readonly frames: number;
  readonly spans: number;
}

const NONE: Damaged = { frames: 0, spans: 0 };

/**
 * Damaged batches cannot be sent, and are gone with the segment that they are in when the others were. So those segments
 * are repaired before, which keeps the originals. Resolves to what is in these; what could not be kept is said.
 */
export async function keepDamaged(directory: string, terminal: Terminal): Promise<Damaged> {
  const { directories, corrupt } = await fsck({ directory }).catch((error) => {
    throw directoryError(directory, error);
  });
  if (corrupt.frames === 0 || directories[0]?.owner === 'alive') return NONE;
  let kept = NONE;
  let why = 'a process may have the directory';
  try {
    const { directories } = await fsck({ directory, repair: true });
    const segments = directories.flatMap((each) => each.segments);
    kept = sumOf(segments.filter(({ repaired }) => repaired));
    why = segments.find(({ error }) => error)?.error?.message ?? why;
  } catch (error) {
    why = describeError(toError(error));
  }
  const lost = { frames: corrupt.frames - kept.frames, spans: corrupt.spans - kept.spans };
  if (kept.frames > 0) {
    terminal.note(`${directory}: ${described(kept)} cannot be sent; the segments as they were are kept in quarantine/`);
  }
  if (lost.frames > 0) {
    terminal.note(
      `${directory}: ${described(lost)} cannot be sent and will be given up; no copy could be kept: ${why}`,
    );
  }
  return kept;
}

const sumOf = (segments: readonly FsckSegment[]): Damaged => ({
  frames: segments.reduce((sum, { corrupt }) => sum + corrupt.frames, 0),
  spans: segments.reduce((sum, { corrupt }) => sum + corrupt.spans, 0),
});

const described = ({ frames, spans }: Damaged): string =>
  `${counted(frames, 'damaged batch', 'damaged batches')} with ${counted(spans, 'span')}`;
