import { type Clock, type FileSystem, suppressTracing, type Timer } from '@otel-resilience/core';
import { quietly } from './file-errors.js';
import { newToken } from './frame.js';
import { acknowledge, CLOSED, chargeOf, frameBytes, NO_ROOM, type PendingFrame, takeGroup } from './pending-frame.js';
import { newSegment, type Segment, segmentName, segmentPath } from './segment.js';
import { SegmentWriter } from './segment-writer.js';

export type FsyncMode = 'always' | 'interval' | 'never';

export interface WriteQueueOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly clock: Clock;
  readonly fsync: FsyncMode;
  readonly fsyncIntervalMillis: number;
  readonly maxSegmentBytes: number;
  readonly maxSegmentAgeMillis: number;
  readonly nextNumber: () => number;
  /** Makes room for so many bytes more, `false` when there is none. */
  readonly makeRoom: (bytes: number) => boolean | Promise<boolean>;
  /** That room is taken, or is not needed: what was written is charged to its segment. */
  readonly onRoomUsed: () => void;
  readonly onSegment: (segment: Segment) => void;
  /** Nothing that counts is in it, and nothing will be. */
  readonly onDiscard: (segment: Segment) => void;
  /** Frames that had been acknowledged, and which no segment holds for certain. */
  readonly onUnsaved: (frames: readonly PendingFrame[], error: unknown) => void;
}

const NOT_OURS = new Error('another process has the directory, or nobody');

/** What is not synced is kept, to be written again when the sync fails. */
const MAX_UNSYNCED_BYTES = 8 * 1024 * 1024;

/**
 * The one writer of a directory: appends and everything else that moves the end of a segment happen one after the
 * other. Appends that come while it is busy are written together, and share a sync.
 *
 * A frame becomes visible, which is to say may be leased, when it is as durable as it will be: after the sync or, with
 * `never`, the write. So whatever a failed sync leaves in doubt is still here, unread, and is written again elsewhere.
 */
export class WriteQueue {
  private readonly options: WriteQueueOptions;
  private readonly queue: PendingFrame[] = [];
  private readonly commands: Array<() => Promise<void>> = [];
  private writer: SegmentWriter | undefined;
  private timer: Timer | undefined;
  private running = false;
  private closed = false;
  private queuedBytes = 0;
  private spans = 0;
  private lastId = 0;
  private newestMillis = 0;

  constructor(options: WriteQueueOptions) {
    this.options = options;
  }

  /** Waiting to be written. */
  get pendingBytes(): number {
    return this.queuedBytes;
  }

  /** Settles the frame's promise. */
  append(frame: PendingFrame): void {
    if (this.closed) {
      frame.reject(CLOSED);
      return;
    }
    this.queue.push(frame);
    this.queuedBytes += frame.bodyBytes;
    this.pump();
  }

  /** Makes visible what is written. */
  syncNow(): Promise<void> {
    return this.enqueue(() => this.sync());
  }

  get hasUnsynced(): boolean {
    return this.writer?.hasUnsynced ?? false;
  }

  /** Finishes the segment that is being written, if it is this one and nothing is about to be added. */
  finishIfIdle(segment: Segment): Promise<void> {
    return this.enqueue(async () => {
      if (this.writer?.segment === segment && this.queue.length === 0 && !this.writer.hasUnsynced) await this.finish();
    });
  }

  /** After everything that waits. No handle and no timer is left. */
  close(): Promise<void> {
    this.closed = true;
    return this.enqueue(async () => {
      while (this.queue.length > 0) await this.commit(this.takeGroup());
      await this.finish();
      this.stopTimer();
    });
  }

  stopTimer(): void {
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** The directory is not ours any more: nothing is written, cut off or removed. */
  halt(): void {
    this.closed = true;
    void this.enqueue(async () => {
      const { writer } = this;
      this.writer = undefined;
      this.stopTimer();
      const unsaved = writer?.takeUnsynced().filter(({ acknowledged }) => acknowledged) ?? [];
      if (unsaved.length > 0) this.options.onUnsaved(unsaved, NOT_OURS);
      if (writer) await quietly(writer.close());
    });
  }

  /** To be called from within `makeRoom` only: the queue is at a standstill then. */
  async finish(): Promise<void> {
    if (this.options.fsync !== 'never') await this.sync();
    // After a sync that failed it is another one, or none.
    const { writer } = this;
    if (!writer) return;
    this.writer = undefined;
    await quietly(writer.seal(this.spans, this.lastId, this.newestMillis));
    await this.release(writer);
  }

  private enqueue(command: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.commands.push(() => command().then(resolve, reject));
      this.pump();
    });
  }

  private pump(): void {
    if (this.running) return;
    this.running = true;
    suppressTracing(() => this.run());
  }

  private async run(): Promise<void> {
    for (;;) {
      const command = this.commands.shift();
      if (command) await command();
      else if (this.queue.length > 0) await this.commit(this.takeGroup());
      else break;
    }
    this.running = false;
  }

  private takeGroup(): PendingFrame[] {
    const group = takeGroup(this.queue, this.options.maxSegmentBytes - (this.writer?.writtenBytes ?? 0));
    for (const { bodyBytes } of group) this.queuedBytes -= bodyBytes;
    return group;
  }

  private async commit(group: readonly PendingFrame[]): Promise<void> {
    const { fsync, makeRoom, onRoomUsed } = this.options;
    try {
      const room = makeRoom(chargeOf(group));
      if (!(typeof room === 'boolean' ? room : await room)) throw NO_ROOM;
      await this.write(group);
    } catch (error) {
      for (const frame of group) frame.reject(error);
      return;
    } finally {
      onRoomUsed();
    }
    if (fsync === 'always') return this.sync();
    for (const frame of group) if (!frame.needsSync) acknowledge(frame);
    const writer = this.writer!;
    if (fsync === 'never') this.reveal(writer, writer.takeUnsynced());
    else if (writer.unsyncedBytes > MAX_UNSYNCED_BYTES || group.some(({ needsSync }) => needsSync)) await this.sync();
    else this.syncLater();
  }

  private async write(frames: readonly PendingFrame[]): Promise<void> {
    const { writer: current, options } = this;
    const bytes = frames.reduce((sum, frame) => sum + frameBytes(frame), 0);
    if (current && !current.fits(bytes, frames.length, options)) await this.finish();
    this.writer ??= await this.begin();
    const { writer } = this;
    try {
      await writer.write(frames);
    } catch (error) {
      await this.undo(writer);
      throw error;
    }
    writer.segment.bytes += chargeOf(frames);
    writer.segment.newestAt = options.clock.now();
  }

  private async begin(): Promise<SegmentWriter> {
    const { fileSystem, directory, clock, nextNumber, onSegment } = this.options;
    const token = newToken();
    const segment = newSegment(segmentName(nextNumber(), token), directory, token, clock.now());
    segment.active = true;
    const writer = await SegmentWriter.create(fileSystem, segment, clock);
    this.spans = 0;
    this.newestMillis = 0;
    onSegment(segment);
    return writer;
  }

  /** What a failed write has left behind is cut off; where that fails too, nothing is written after it. */
  private async undo(writer: SegmentWriter): Promise<void> {
    const isCut = writer.frames > 0 && (await quietly(writer.truncate(writer.writtenBytes)));
    if (isCut) return;
    if (this.options.fsync !== 'never') await this.sync();
    if (this.writer !== writer) return;
    this.writer = undefined;
    await this.release(writer);
  }

  /** Never rejects: the frames are acknowledged, or handed on. */
  private async sync(): Promise<void> {
    this.stopTimer();
    const { writer } = this;
    if (!writer?.hasUnsynced) return;
    const frames = writer.takeUnsynced();
    try {
      await writer.sync();
    } catch {
      this.writer = undefined;
      const isSaved = await this.writeAgain(frames);
      // Until they are safe elsewhere the process may die, and what it had acknowledged be found here.
      const isNeeded = !isSaved && frames.some(({ acknowledged }) => acknowledged);
      return this.abandon(writer, frames, isNeeded);
    }
    this.reveal(writer, frames);
  }

  /** After a sync that failed the pages may be gone, and another sync would say that all is well. */
  private async writeAgain(frames: readonly PendingFrame[]): Promise<boolean> {
    try {
      await this.write(frames);
      const writer = this.writer!;
      writer.takeUnsynced();
      try {
        await writer.sync();
      } catch (error) {
        this.writer = undefined;
        await this.abandon(writer, frames, false);
        throw error;
      }
      this.reveal(writer, frames);
      return true;
    } catch (error) {
      for (const frame of frames) if (!frame.acknowledged) frame.reject(error);
      const unsaved = frames.filter(({ acknowledged }) => acknowledged);
      if (unsaved.length > 0) this.options.onUnsaved(unsaved, error);
      return false;
    }
  }

  /** Ends a segment whose last frames could not be synced; they are cut off, unless they are needed. */
  private async abandon(writer: SegmentWriter, frames: readonly PendingFrame[], isNeeded: boolean): Promise<void> {
    const { segment } = writer;
    segment.isNeeded = isNeeded;
    if (!isNeeded && (await quietly(writer.truncate(segment.visibleBytes)))) segment.bytes -= chargeOf(frames);
    await this.release(writer);
  }

  private async release(writer: SegmentWriter): Promise<void> {
    const { segment } = writer;
    segment.active = false;
    await quietly(writer.close());
    if (segment.frames > 0 || segment.isNeeded) return;
    segment.gone = true;
    await quietly(this.options.fileSystem.remove(segmentPath(segment)));
    this.options.onDiscard(segment);
  }

  private reveal({ segment, writtenBytes }: SegmentWriter, frames: readonly PendingFrame[]): void {
    for (const { batch, id, wallMillis } of frames) {
      segment.spans += batch.spanCount;
      segment.unscannedSpans += batch.spanCount;
      this.spans += batch.spanCount;
      this.lastId = id;
      this.newestMillis = Math.max(this.newestMillis, wallMillis);
    }
    segment.frames += frames.length;
    segment.unscannedFrames += frames.length;
    segment.visibleBytes = writtenBytes;
    for (const frame of frames) acknowledge(frame);
  }

  private syncLater(): void {
    const { clock, fsyncIntervalMillis } = this.options;
    this.timer ??= clock.setTimeout(() => {
      this.timer = undefined;
      void this.syncNow();
    }, fsyncIntervalMillis);
  }
}
