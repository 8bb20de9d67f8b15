import { type Clock, type FileSystem, type OpenFile, SpanBatch, toError } from '@otel-resilience/core';
import { readAcks } from './ack-file.js';
import { isMissing, quietly } from './file-errors.js';
import { SEGMENT_HEADER_BYTES } from './frame.js';
import { frameBytes } from './pending-frame.js';
import { ACK_BYTES, type FrameEntry, type Segment, segmentPath, waitingFrames } from './segment.js';
import { type Damage, readBodies, readHead, type ScannedFrame, scanFrames } from './segment-reader.js';

/** Frames that lie one after the other, leased as one batch. */
export interface TakenFrames {
  readonly segment: Segment;
  readonly frames: readonly FrameEntry[];
  readonly batch: SpanBatch;
  /** As they were when it was taken: sending may change its form. */
  readonly bytes: number;
  /** What remains of them: on disk they are whole. */
  readonly isRemainder?: boolean;
}

export interface FrameReaderOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly order: 'oldest' | 'newest';
  readonly maxJoinedBytes: number;
  /** Fewer (or, below 0, more) spans wait in it than was thought. */
  readonly onMissing: (segment: Segment, spans: number) => void;
  readonly onDamage: (damage: Damage) => void;
  /** They are read no more: neither now nor after a restart. */
  readonly onCorrupt: (segment: Segment, frames: readonly FrameEntry[]) => void;
  /** There is no such file, and nobody but its owner takes one away. */
  readonly onRemoved: (segment: Segment) => void;
  /** It is no segment of ours after all: it is left alone. */
  readonly onForeign: (segment: Segment) => void;
}

const MAX_JOINED_SPANS = 1_000;
const MIN_BLOCKED_MILLIS = 1_000;
const MAX_BLOCKED_MILLIS = 60_000;

/** Reads frames out of segments, the oldest or the newest first. Files are open only while they are read. */
export class FrameReader {
  private readonly options: FrameReaderOptions;

  constructor(options: FrameReaderOptions) {
    this.options = options;
  }

  /**
   * Rejects when nothing could be read although something waits: one segment that cannot be read keeps nobody from the
   * others, and is tried again later.
   */
  async take(segments: readonly Segment[]): Promise<TakenFrames | undefined> {
    const { order, clock } = this.options;
    const inOrder = order === 'oldest' ? segments.slice() : segments.slice().reverse();
    let failed: Error | undefined;
    for (const segment of inOrder) {
      if (waitingFrames(segment) <= 0 || segment.gone) continue;
      if (clock.now() < segment.blockedUntil) {
        failed ??= new Error('a segment could not be read; it is tried again in a while');
        continue;
      }
      try {
        const taken = await this.takeFrom(segment);
        if (taken) return taken;
      } catch (thrown) {
        // It may have been removed meanwhile.
        if (segment.gone) continue;
        failed = toError(thrown);
        this.block(segment);
        if (isMissing(thrown)) this.options.onRemoved(segment);
      }
    }
    if (failed) throw failed;
    return undefined;
  }

  /** In its place again. */
  putBack({ segment, frames }: Pick<TakenFrames, 'segment' | 'frames'>): void {
    segment.leasedFrames -= frames.length;
    const first = frames[0]!.offset;
    const at = segment.waiting.findIndex(({ offset }) => offset > first);
    segment.waiting.splice(at < 0 ? segment.waiting.length : at, 0, ...frames);
  }

  /** What cannot be given out is put back, or noted as corrupt. */
  private async takeFrom(segment: Segment): Promise<TakenFrames | undefined> {
    const file = await this.options.fileSystem.open(segmentPath(segment), 'read');
    try {
      if (segment.unscannedFrames > 0) await this.scan(segment, file);
      while (!segment.gone && segment.waiting.length > 0) {
        const frames = this.pick(segment);
        segment.leasedFrames += frames.length;
        let bodies: Array<Buffer | undefined>;
        try {
          bodies = await readBodies(file, frames);
        } catch (error) {
          this.putBack({ segment, frames });
          throw error;
        }
        segment.blockedMillis = 0;
        const taken = this.toBatch(segment, frames, bodies);
        if (taken) return taken;
      }
      // What was thought to wait in it is not there.
      if (!segment.gone && waitingFrames(segment) === 0) this.options.onCorrupt(segment, []);
      return undefined;
    } finally {
      await quietly(file.close());
    }
  }

  private async scan(segment: Segment, file: OpenFile): Promise<void> {
    const { fileSystem, onMissing, onDamage } = this.options;
    if (segment.visibleBytes === Number.POSITIVE_INFINITY) {
      // It could not be read at the start.
      const head = await readHead(file, segment.name);
      const isOurs = head && (head.header || head.isBlank || (await hasFrames(file, head.token)));
      if (!isOurs) return this.options.onForeign(segment);
      segment.token = head.token;
      if (!head.header) segment.scannedBytes = 0;
    }
    // All of one moment: it may be written to meanwhile.
    const { scannedBytes, unscannedFrames, unscannedSpans, visibleBytes } = segment;
    const to = Math.min(visibleBytes, await file.size());
    const isFirst = scannedBytes <= SEGMENT_HEADER_BYTES;
    const acks =
      isFirst && segment.hasAcks
        ? await readAcks(fileSystem, segment).catch(() => new Set<number>())
        : new Set<number>();
    const found: ScannedFrame[] = [];
    const { corrupt, torn } = await scanFrames(file, segment.token, scannedBytes, to, (frame) => {
      if (!acks.has(frame.id)) found.push(frame);
    });
    if (segment.gone) return;
    const spans = found.reduce((sum, { spanCount }) => sum + spanCount, 0);
    segment.scannedBytes = to;
    if (visibleBytes === Number.POSITIVE_INFINITY) {
      segment.visibleBytes = to;
      segment.bytes += to + found.length * ACK_BYTES;
    }
    segment.unscannedFrames -= unscannedFrames;
    segment.unscannedSpans -= unscannedSpans;
    segment.frames += found.length - unscannedFrames;
    for (const frame of found) segment.waiting.push(frame);
    if (spans === unscannedSpans) return;
    segment.spans += spans - unscannedSpans;
    onDamage(corrupt);
    onDamage(torn);
    onMissing(segment, unscannedSpans - spans);
  }

  /** Takes frames out of `waiting` that lie one after the other, as many as make a batch of sensible size. */
  private pick(segment: Segment): FrameEntry[] {
    const { order, maxJoinedBytes } = this.options;
    const { waiting } = segment;
    const forward = order === 'oldest';
    const at = (index: number) => (forward ? waiting[index] : waiting[waiting.length - 1 - index]);
    let spans = 0;
    let bytes = 0;
    let count = 0;
    for (let frame = at(0); frame; frame = at(count)) {
      spans += frame.spanCount;
      bytes += frame.bodyBytes;
      const before = at(count - 1);
      const isNext =
        !before ||
        (forward
          ? before.offset + frameBytes(before) === frame.offset
          : frame.offset + frameBytes(frame) === before.offset);
      if (count > 0 && (!isNext || spans > MAX_JOINED_SPANS || bytes > maxJoinedBytes)) break;
      count++;
    }
    return forward ? waiting.splice(0, count) : waiting.splice(waiting.length - count, count);
  }

  private toBatch(
    segment: Segment,
    frames: readonly FrameEntry[],
    bodies: ReadonlyArray<Buffer | undefined>,
  ): TakenFrames | undefined {
    const whole = batchOf(bodies, frames);
    if (whole) return { segment, frames, batch: whole, bytes: whole.byteLength };
    const intact: FrameEntry[] = [];
    const corrupt: FrameEntry[] = [];
    const batches: SpanBatch[] = [];
    for (const [index, frame] of frames.entries()) {
      const batch = batchOf([bodies[index]], [frame]);
      if (batch) batches.push(batch);
      (batch ? intact : corrupt).push(frame);
    }
    if (corrupt.length > 0) {
      segment.leasedFrames -= corrupt.length;
      this.options.onCorrupt(segment, corrupt);
    }
    if (batches.length === 0) return undefined;
    const batch = SpanBatch.join(batches);
    return { segment, frames: intact, batch, bytes: batch.byteLength };
  }

  private block(segment: Segment): void {
    segment.blockedMillis = Math.min(Math.max(MIN_BLOCKED_MILLIS, segment.blockedMillis * 2), MAX_BLOCKED_MILLIS);
    segment.blockedUntil = this.options.clock.now() + segment.blockedMillis;
  }
}

async function hasFrames(file: OpenFile, token: bigint): Promise<boolean> {
  let frames = 0;
  await scanFrames(file, token, 0, await file.size(), () => frames++);
  return frames > 0;
}

/** `undefined` where a body is damaged, or they are no request of so many spans. */
function batchOf(bodies: ReadonlyArray<Buffer | undefined>, frames: readonly FrameEntry[]): SpanBatch | undefined {
  const intact = bodies.filter((body) => body !== undefined);
  if (intact.length < frames.length) return undefined;
  try {
    const batch = SpanBatch.fromBytes(intact);
    return batch.spanCount === frames.reduce((sum, { spanCount }) => sum + spanCount, 0) ? batch : undefined;
  } catch {
    return undefined;
  }
}
