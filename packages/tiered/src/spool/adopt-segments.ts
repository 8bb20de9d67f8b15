import type { FileSystem } from '@otel-resilience/core';
import { areEqual, copyBytes } from './copy-bytes.js';
import { codeOf, isMissing, quietly } from './file-errors.js';
import { ACK_NAME, ackName, renumbered, SEGMENT_NAME, segmentOfNotes } from './segment.js';
import { parentOf, withFile } from './with-file.js';

export interface AdoptionOptions {
  readonly fileSystem: FileSystem;
  readonly from: string;
  readonly to: string;
  /** A number that no file in `to` has had. */
  readonly nextNumber: () => number;
  /** Called with the name of each segment as soon as it is there. */
  readonly onAdopted: (name: string) => void;
}

/**
 * Moves the segments of a dead owner, oldest first. Each is in one of the two directories at any time, whole, and is
 * moved once, however many try; where one of them is a mount of its own, copied and compared first. A crash between a
 * segment and its notes of settled frames, or in mid-copy, costs duplicates.
 *
 * @throws the file system's errors: what was moved before has been moved.
 */
export async function adoptSegments({ fileSystem, from, to, nextNumber, onAdopted }: AdoptionOptions): Promise<void> {
  const names = await fileSystem.list(from);
  const segments = names.filter((name) => SEGMENT_NAME.test(name)).sort();
  for (const segment of segments) {
    const adopted = renumbered(segment, nextNumber());
    if (!(await move(fileSystem, `${from}/${segment}`, `${to}/${adopted}`))) continue;
    // After its segment: notes without a segment are nobody's.
    await move(fileSystem, `${from}/${ackName(segment)}`, `${to}/${ackName(adopted)}`);
    onAdopted(adopted);
  }
  if (segments.length > 0) {
    // In this order, or a power failure might find them in neither.
    await fileSystem.syncDirectory(to);
    await fileSystem.syncDirectory(from);
  }
  const left = await fileSystem.list(from);
  for (const name of left) {
    if (!ACK_NAME.test(name) || left.includes(segmentOfNotes(name))) continue;
    await fileSystem.remove(`${from}/${name}`);
  }
}

/** Resolves to `false` where there is nothing to move. */
async function move(fileSystem: FileSystem, from: string, to: string): Promise<boolean> {
  try {
    await fileSystem.rename(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    if (codeOf(error) !== 'EXDEV') throw error;
  }
  try {
    await copyAcross(fileSystem, from, to);
  } catch (error) {
    await quietly(fileSystem.remove(to));
    throw error;
  }
  await fileSystem.remove(from);
  return true;
}

/** To another device: resolves once the copy is durable and has been read back. */
async function copyAcross(fileSystem: FileSystem, from: string, to: string): Promise<void> {
  await withFile(fileSystem.open(from, 'read'), async (source) => {
    const size = await source.size();
    const copied = await withFile(fileSystem.open(to, 'create'), async (target) => {
      const bytes = await copyBytes(source, target, size);
      await target.sync();
      return bytes;
    });
    const isSame = await withFile(fileSystem.open(to, 'read'), (copy) => areEqual(source, copy, size));
    if (copied < size || !isSame) throw new Error(`${to}: the copy on the other device is not what was copied`);
  });
  await fileSystem.syncDirectory(parentOf(to));
}
