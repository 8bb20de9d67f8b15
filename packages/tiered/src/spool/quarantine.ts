import type { Clock, FileSystem, SpanBatch } from '@otel-resilience/core';
import { isMissing, quietly } from './file-errors.js';
import {
  crcOf,
  encodeFrameHeader,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  frameKey,
  newToken,
  SEGMENT_HEADER_BYTES,
} from './frame.js';
import { numberAfter, renumbered, SEGMENT_NAME, segmentName } from './segment.js';
import { writeFully } from './segment-writer.js';

export const QUARANTINE = 'quarantine';

const MAX_QUARANTINE_BYTES = 64 * 1024 * 1024;

export interface QuarantineOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  /** Of the spool. */
  readonly directory: string;
  readonly sync: boolean;
}

/**
 * Where a batch goes that was dropped as poison: a segment of its own, never sent again, for whoever wants to know what
 * was in it. Bounded: the oldest make way. Of a batch that was delivered in part all is kept, since nobody says which.
 */
export class Quarantine {
  private readonly options: QuarantineOptions;
  private readonly path: string;
  /** As they were last found. */
  private files: readonly QuarantinedFile[] | undefined;
  private count = 0;

  constructor(options: QuarantineOptions) {
    this.options = options;
    this.path = `${options.directory}/${QUARANTINE}`;
  }

  /** Batches put here since the start. */
  get batches(): number {
    return this.count;
  }

  /** To be called one at a time. Rejects with the disk's error; too large a batch is not kept. */
  async add(batch: SpanBatch): Promise<void> {
    const { fileSystem, clock, sync } = this.options;
    const body = batch.otlp();
    const bodyBytes = body.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    const bytes = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + bodyBytes;
    if (bytes > MAX_QUARANTINE_BYTES) return;
    const number = await this.makeRoom(bytes);
    const token = newToken();
    const name = segmentName(number, token);
    const wallMillis = clock.wallTime();
    const { spanCount } = batch;
    const header = { bodyBytes, spanCount, id: number, wallMillis, bodyCrc: crcOf(body), isSeal: false };
    const file = await fileSystem.open(`${this.path}/${name}`, 'create');
    try {
      const segmentHeader = encodeSegmentHeader({ number, createdMillis: wallMillis, token });
      await writeFully(file, [segmentHeader, encodeFrameHeader(header, frameKey(token)), ...body], 0);
      if (sync) await file.sync();
    } finally {
      await quietly(file.close());
    }
    if (sync) await fileSystem.syncDirectory(this.path);
    this.count++;
  }

  /** Resolves to the next number. What a dead owner had quarantined may have come in the meantime. */
  private async makeRoom(bytes: number): Promise<number> {
    const { fileSystem, directory, sync } = this.options;
    if (!this.files) {
      await fileSystem.makeDirectory(this.path);
      if (sync) await fileSystem.syncDirectory(directory);
    }
    const files = await listFiles(fileSystem, this.path, this.files);
    this.files = files.slice();
    await trim(fileSystem, this.path, files, MAX_QUARANTINE_BYTES - bytes);
    return numberAfter(this.files.map(({ name }) => name));
  }
}

/**
 * Moves what a dead owner has in quarantine to that of another directory, within the same bound. Each file is moved once,
 * however many try.
 */
export async function adoptQuarantine(
  fileSystem: FileSystem,
  fromDirectory: string,
  toDirectory: string,
): Promise<void> {
  const [from, to] = [`${fromDirectory}/${QUARANTINE}`, `${toDirectory}/${QUARANTINE}`];
  const names = (await fileSystem.list(from)).filter((name) => SEGMENT_NAME.test(name)).sort();
  if (names.length > 0) {
    await fileSystem.makeDirectory(to);
    let number = numberAfter((await fileSystem.list(to)).filter((name) => SEGMENT_NAME.test(name)));
    for (const name of names) await fileSystem.rename(`${from}/${name}`, `${to}/${renumbered(name, number++)}`);
    await trim(fileSystem, to, await listFiles(fileSystem, to), MAX_QUARANTINE_BYTES);
  }
  await quietly(fileSystem.removeDirectory(from));
}

interface QuarantinedFile {
  readonly name: string;
  readonly bytes: number;
}

/** The oldest first. The sizes of those that are `known` are not asked for. */
async function listFiles(
  fileSystem: FileSystem,
  path: string,
  known: readonly QuarantinedFile[] = [],
): Promise<QuarantinedFile[]> {
  const sizes = new Map(known.map(({ name, bytes }) => [name, bytes]));
  const files: QuarantinedFile[] = [];
  for (const name of (await fileSystem.list(path)).filter((name) => SEGMENT_NAME.test(name)).sort()) {
    const bytes = sizes.get(name) ?? (await sizeOf(fileSystem, `${path}/${name}`));
    files.push({ name, bytes });
  }
  return files;
}

/** 0 for one that has made way meanwhile. */
async function sizeOf(fileSystem: FileSystem, path: string): Promise<number> {
  try {
    const file = await fileSystem.open(path, 'read');
    return await file.size().finally(() => quietly(file.close()));
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

/** Removes the oldest, until they have no more than `maxBytes`. */
async function trim(fileSystem: FileSystem, path: string, files: QuarantinedFile[], maxBytes: number): Promise<void> {
  let total = files.reduce((sum, file) => sum + file.bytes, 0);
  while (total > maxBytes && files.length > 0) {
    await fileSystem.remove(`${path}/${files[0]!.name}`).catch((error) => {
      if (!isMissing(error)) throw error;
    });
    total -= files.shift()!.bytes;
  }
}
