import type { Clock, FileSystem, OpenFile, SpanBatch } from '@otel-resilience/core';
import { codeOf, isMissing, quietly } from './file-errors.js';
import {
  crcOf,
  encodeFrameHeader,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  newToken,
  SEGMENT_HEADER_BYTES,
} from './frame.js';
import { numberOf, SEGMENT_NAME, segmentName } from './segment.js';
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
  private files: QuarantinedFile[] | undefined;
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
    const files = await this.makeRoom(bytes);
    if (!files) return;
    const number = files.map(({ name }) => numberOf(name)).reduce(larger, 0) + 1;
    const wallMillis = clock.wallTime();
    const { spanCount } = batch;
    const header = { bodyBytes, spanCount, id: number, wallMillis, bodyCrc: crcOf(body), isSeal: false };
    const file = await openUnlessThere(fileSystem, `${this.path}/${segmentName(number)}`);
    if (!file) {
      // What a dead owner had quarantined has been adopted in the meantime.
      this.files = undefined;
      return this.add(batch);
    }
    files.push({ name: segmentName(number), bytes });
    try {
      const segmentHeader = encodeSegmentHeader({ number, createdMillis: wallMillis, token: newToken() });
      await writeFully(file, [segmentHeader, encodeFrameHeader(header), ...body], 0);
      if (sync) await file.sync();
    } finally {
      await quietly(file.close());
    }
    if (sync) await fileSystem.syncDirectory(this.path);
    this.count++;
  }

  private async makeRoom(bytes: number) {
    if (bytes > MAX_QUARANTINE_BYTES) return undefined;
    this.files ??= await this.list();
    await trim(this.options.fileSystem, this.path, this.files, MAX_QUARANTINE_BYTES - bytes);
    return this.files;
  }

  private async list(): Promise<QuarantinedFile[]> {
    const { fileSystem, directory, sync } = this.options;
    await fileSystem.makeDirectory(this.path);
    if (sync) await fileSystem.syncDirectory(directory);
    return listFiles(fileSystem, this.path);
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
    let number = (await fileSystem.list(to))
      .filter((name) => SEGMENT_NAME.test(name))
      .map(numberOf)
      .reduce(larger, 0);
    for (const name of names) {
      // The name is taken before it is renamed to: its owner may be about to use it.
      let taken: OpenFile | undefined;
      while (!taken) taken = await openUnlessThere(fileSystem, `${to}/${segmentName(++number)}`);
      await taken.close();
      await fileSystem.rename(`${from}/${name}`, `${to}/${segmentName(number)}`);
    }
    await trim(fileSystem, to, await listFiles(fileSystem, to), MAX_QUARANTINE_BYTES);
  }
  await quietly(fileSystem.removeDirectory(from));
}

interface QuarantinedFile {
  readonly name: string;
  readonly bytes: number;
}

async function listFiles(fileSystem: FileSystem, path: string): Promise<QuarantinedFile[]> {
  const names = (await fileSystem.list(path)).filter((name) => SEGMENT_NAME.test(name)).sort();
  const files: QuarantinedFile[] = [];
  for (const name of names) {
    const file = await fileSystem.open(`${path}/${name}`, 'read');
    files.push({ name, bytes: await file.size().finally(() => quietly(file.close())) });
  }
  return files;
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

const larger = (a: number, b: number): number => Math.max(a, b);

async function openUnlessThere(fileSystem: FileSystem, path: string): Promise<OpenFile | undefined> {
  try {
    return await fileSystem.open(path, 'create');
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    throw error;
  }
}
