import type { Clock, FileSystem, OpenFile } from '@otel-resilience/core';
import {
  encodeFrameHeader,
  encodeSeal,
  encodeSegmentHeader,
  type FrameKey,
  frameKey,
  SEGMENT_HEADER_BYTES,
} from './frame.js';
import type { PendingFrame } from './pending-frame.js';
import { numberOf, type Segment, segmentPath } from './segment.js';

export interface SegmentLimits {
  readonly maxSegmentBytes: number;
  readonly maxSegmentAgeMillis: number;
}

/** A segment's frames are listed in memory while it is replayed. */
const MAX_SEGMENT_FRAMES = 16_384;

/** The file of the segment that is being written. Every method rejects with what the file system says. */
export class SegmentWriter {
  readonly segment: Segment;
  private readonly begunAt: number;
  private readonly clock: Clock;
  private readonly fileSystem: FileSystem;
  private readonly file: OpenFile;
  private readonly key: FrameKey;
  private header: Uint8Array | undefined;
  /** Where the next frame goes: all before it was written, whole. */
  private end = SEGMENT_HEADER_BYTES;
  /** Whether the file's name is durable. */
  private linked = false;
  /** Written, not synced. */
  private unsynced: PendingFrame[] = [];
  unsyncedBytes = 0;
  frames = 0;

  private constructor(fileSystem: FileSystem, file: OpenFile, segment: Segment, clock: Clock) {
    this.fileSystem = fileSystem;
    this.file = file;
    this.segment = segment;
    this.clock = clock;
    this.begunAt = clock.now();
    const { name, token } = segment;
    this.key = frameKey(token);
    this.header = encodeSegmentHeader({ number: numberOf(name), createdMillis: clock.wallTime(), token });
  }

  static async create(fileSystem: FileSystem, segment: Segment, clock: Clock): Promise<SegmentWriter> {
    const file = await fileSystem.open(segmentPath(segment), 'create');
    return new SegmentWriter(fileSystem, file, segment, clock);
  }

  /** Whether so much more may go into it; anything may if it is empty. */
  fits(bytes: number, frames: number, limits: SegmentLimits): boolean {
    if (this.frames === 0) return true;
    if (this.frames + frames > MAX_SEGMENT_FRAMES) return false;
    if (this.clock.now() - this.begunAt > limits.maxSegmentAgeMillis) return false;
    return this.end + bytes <= limits.maxSegmentBytes;
  }

  get writtenBytes(): number {
    return this.end;
  }

  /** All of them or, when it rejects, none: what was written of them is after the end and may be cut off. */
  async write(frames: readonly PendingFrame[]): Promise<void> {
    const chunks = frames.flatMap((frame) => [this.headerOf(frame), ...frame.body]);
    if (this.header) chunks.unshift(this.header);
    const position = this.header ? 0 : this.end;
    const end = await writeFully(this.file, chunks, position);
    this.header = undefined;
    this.end = end;
    this.frames += frames.length;
    for (const frame of frames) {
      this.unsynced.push(frame);
      this.unsyncedBytes += frame.bodyBytes;
    }
  }

  /** Returns what had been written and not synced. */
  takeUnsynced(): PendingFrame[] {
    this.unsyncedBytes = 0;
    return this.unsynced.splice(0);
  }

  get hasUnsynced(): boolean {
    return this.unsynced.length > 0;
  }

  /** The content first: a name that is durable before it would lead to nothing. */
  async sync(): Promise<void> {
    await this.file.sync();
    if (this.linked) return;
    await this.fileSystem.syncDirectory(this.segment.directory);
    this.linked = true;
  }

  /** Sums up what is in it, so that the next start need not look. */
  async seal(spans: number, lastId: number, newestMillis: number): Promise<void> {
    const seal = encodeSeal({ frames: this.frames, spans, lastId, newestMillis, offset: this.end }, this.key);
    await writeFully(this.file, [seal], this.end);
  }

  truncate(length: number): Promise<void> {
    return this.file.truncate(length);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private headerOf({ bodyBytes, bodyCrc, batch, id, wallMillis }: PendingFrame): Uint8Array {
    return encodeFrameHeader(
      { bodyBytes, bodyCrc, spanCount: batch.spanCount, id, wallMillis, isSeal: false },
      this.key,
    );
  }
}

/** Continues short writes; returns where they end. */
export async function writeFully(file: OpenFile, chunks: readonly Uint8Array[], position: number): Promise<number> {
  let left = chunks;
  let at = position;
  while (left.length > 0) {
    let written = await file.write(left, at);
    at += written;
    // As a write that finds no room would be reported the next time.
    if (written <= 0) throw NOTHING_WRITTEN;
    let index = 0;
    while (index < left.length && written >= left[index]!.byteLength) written -= left[index++]!.byteLength;
    left = left.slice(index);
    if (written > 0) left = [left[0]!.subarray(written), ...left.slice(1)];
  }
  return at;
}

const NOTHING_WRITTEN = Object.assign(new Error('nothing could be written'), { code: 'ENOSPC' });
