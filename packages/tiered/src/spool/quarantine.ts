import type { Clock, FileSystem, SpanBatch } from '@otel-resilience/core';
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
import { quietly } from './write-queue.js';

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
  private files: Array<{ readonly name: string; readonly bytes: number }> | undefined;
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
    const number = files.reduce((most, { name }) => Math.max(most, numberOf(name)), 0) + 1;
    const wallMillis = clock.wallTime();
    const { spanCount } = batch;
    const header = { bodyBytes, spanCount, id: number, wallMillis, bodyCrc: crcOf(body), isSeal: false };
    const file = await fileSystem.open(`${this.path}/${segmentName(number)}`, 'create');
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
    const { fileSystem } = this.options;
    this.files ??= await this.list();
    const { files } = this;
    let total = files.reduce((sum, file) => sum + file.bytes, bytes);
    while (total > MAX_QUARANTINE_BYTES && files.length > 0) {
      await fileSystem.remove(`${this.path}/${files[0]!.name}`);
      total -= files.shift()!.bytes;
    }
    return files;
  }

  private async list() {
    const { fileSystem, directory, sync } = this.options;
    await fileSystem.makeDirectory(this.path);
    if (sync) await fileSystem.syncDirectory(directory);
    const names = (await fileSystem.list(this.path)).filter((name) => SEGMENT_NAME.test(name)).sort();
    const files: Array<{ name: string; bytes: number }> = [];
    for (const name of names) {
      const file = await fileSystem.open(`${this.path}/${name}`, 'read');
      files.push({ name, bytes: await file.size().finally(() => quietly(file.close())) });
    }
    return files;
  }
}
