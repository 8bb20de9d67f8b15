import {
  accountedFor,
  type Clock,
  type ExportOutcome,
  type FileSystem,
  type SpanBatch,
  type SpoolLedger,
} from '@otel-resilience/core';
import { crcOf, encodeFrameHeader, FRAME_HEADER_BYTES } from './frame.js';
import { FrameReader, type TakenFrames } from './frame-reader.js';
import { Quarantine } from './quarantine.js';
import type { Recovered } from './recovery.js';
import { ACK_BYTES, EMPTY_SEGMENT_BYTES, type Segment } from './segment.js';
import type { Damage } from './segment-reader.js';
import { SegmentStore } from './segment-store.js';
import type { PendingFrame } from './segment-writer.js';
import type { SpoolSettings } from './spool-options.js';
import { quietly, WriteQueue } from './write-queue.js';

export interface DiskQueueOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  readonly settings: SpoolSettings;
  readonly ledger: SpoolLedger;
  readonly recovered: Recovered;
  /** Held elsewhere, within the same bound. */
  readonly otherBytes: () => number;
  /** What was acknowledged, and is on no disk now. */
  readonly onUnsaved: (batches: readonly SpanBatch[], error: unknown) => void;
}

/** More is never leased at a time: it is in memory then. */
const MAX_LEASED_BYTES = 32 * 1024 * 1024;
/** Waiting to be written: more than that, and the disk is too slow to be of help. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
const MAX_JOINED_BYTES = 1024 * 1024;
const MAX_JOINED_SHARE = 1 / 16;
/** Each takes an entry of the directory, and two reads at the start. */
const MAX_SEGMENTS = 4_096;
const SEGMENT_SHARE_OF_AGE = 1 / 8;

/** The batches of one directory: written, leased, settled. Counts in the spool's ledger whatever leaves it. */
export class DiskQueue {
  private readonly options: DiskQueueOptions;
  private readonly store: SegmentStore;
  private readonly queue: WriteQueue;
  private readonly reader: FrameReader;
  private readonly quarantine: Quarantine;
  /** What poison is being written to the quarantine, one batch after the other. */
  private quarantining: Promise<unknown> = Promise.resolve();
  private readonly found: Damage;
  private nextId: number;
  private nextSegment: number;
  private leasedBytes = 0;
  private leasedSpans = 0;
  private isLost = false;
  /** Remains of leases that could not be appended: sent from memory, and whole again after a restart. */
  private readonly remainders: TakenFrames[] = [];
  /** Appending what remains of leases. */
  private readonly pending = new Set<Promise<unknown>>();

  constructor(options: DiskQueueOptions) {
    const { fileSystem, clock, directory, settings, ledger, recovered } = options;
    const { fsync, fsyncIntervalMillis, maxSegmentBytes, maxAgeMillis, order, maxBytes } = settings;
    this.options = options;
    this.nextId = recovered.nextId;
    this.nextSegment = recovered.nextNumber;
    this.found = { bytes: 0, frames: 0, spans: 0 };
    this.store = new SegmentStore({
      fileSystem,
      clock,
      ledger,
      maxAgeMillis,
      finish: (segment) => this.queue.finishIfIdle(segment),
      sync: fsync !== 'never',
    });
    this.queue = new WriteQueue({
      fileSystem,
      directory,
      clock,
      fsync,
      fsyncIntervalMillis,
      maxSegmentBytes,
      maxSegmentAgeMillis: maxAgeMillis * SEGMENT_SHARE_OF_AGE,
      nextNumber: () => this.nextNumber(),
      makeRoom: (bytes) => this.makeRoom(bytes),
      onSegment: (segment) => this.store.add(segment),
      onDiscard: (segment) => this.store.forget(segment),
      onUnsaved: (frames, error) =>
        options.onUnsaved(
          frames.map(({ batch }) => batch),
          error,
        ),
    });
    this.reader = new FrameReader({
      fileSystem,
      clock,
      order,
      maxJoinedBytes: Math.min(MAX_JOINED_BYTES, maxBytes * MAX_JOINED_SHARE),
      onMissing: (_, spans) => (spans > 0 ? ledger.drop(spans, 'corrupt') : ledger.recover(-spans)),
      onDamage: (damage) => this.count(damage),
      onCorrupt: (segment, frames) => this.dropCorrupt(segment, frames),
    });
    this.quarantine = new Quarantine({ fileSystem, clock, directory, sync: fsync !== 'never' });
    this.adopt(recovered);
  }

  /** Of a segment; never used before. */
  nextNumber(): number {
    return this.nextSegment++;
  }

  /** Segments that were there, or have come. */
  adopt({ segments, corrupt }: Recovered): void {
    this.store.add(...segments);
    for (const { spans } of segments) this.options.ledger.recover(spans);
    this.count(corrupt);
  }

  /** Gives up the oldest until it holds no more than it may, as after a start with a lower bound. */
  async trim(): Promise<void> {
    const { settings } = this.options;
    if (settings.dropPolicy === 'newest') return;
    while (!this.isWithin(0) && (await this.store.evict()));
  }

  /** Whether so much more fits, within memory or on disk. */
  isWithin(bytes: number): boolean {
    const { settings, otherBytes } = this.options;
    return this.store.bytes + otherBytes() + bytes <= settings.maxBytes;
  }

  /** Makes room for what has to wait elsewhere: `false` where there is none left to give up. */
  async evict(): Promise<boolean> {
    return this.options.settings.dropPolicy === 'oldest' && this.store.evict();
  }

  /** Another process has the directory, and answers for what waits in it, as any receiver that stored spans. */
  lose(): void {
    if (this.isLost) return;
    this.isLost = true;
    this.queue.halt();
    this.options.ledger.deliver(this.store.abandon() - this.leasedSpans);
  }

  get bytes(): number {
    return this.store.bytes;
  }

  get segments(): number {
    return this.store.segments.length;
  }

  get corrupt(): Readonly<Damage> {
    return this.found;
  }

  get quarantined(): number {
    return this.quarantine.batches;
  }

  get hasUnsynced(): boolean {
    return this.queue.hasUnsynced;
  }

  /**
   * Resolves when it is as durable as `fsync` says or, with `needsSync`, will ever be; `onAcknowledged` is called just before. Rejects with `NO_ROOM`, what
   * encoding throws, or an error of the disk.
   */
  async append(batch: SpanBatch, onAcknowledged: () => void, { needsSync = false } = {}): Promise<void> {
    if (this.queue.pendingBytes > MAX_PENDING_BYTES) throw TOO_SLOW;
    const chunks = batch.otlp();
    let bodyBytes = 0;
    for (const chunk of chunks) bodyBytes += chunk.byteLength;
    const id = this.nextId++;
    const wallMillis = this.options.clock.wallTime();
    const header = encodeFrameHeader({
      bodyBytes,
      spanCount: batch.spanCount,
      id,
      wallMillis,
      bodyCrc: crcOf(chunks),
      isSeal: false,
    });
    await new Promise<void>((resolve, reject) => {
      const frame: PendingFrame = {
        batch,
        id,
        wallMillis,
        bodyBytes,
        chunks: [header, ...chunks],
        needsSync,
        acknowledged: false,
        resolve: () => {
          onAcknowledged();
          resolve();
        },
        reject,
      };
      this.queue.append(frame);
    });
  }

  async take(): Promise<TakenFrames | undefined> {
    await this.store.expire();
    if (this.leasedBytes > MAX_LEASED_BYTES) return undefined;
    const taken = this.takeRemainder() ?? (await this.reader.take(this.store.segments)) ?? (await this.takeUnsynced());
    if (taken) {
      this.leasedBytes += taken.batch.byteLength;
      this.leasedSpans += taken.batch.spanCount;
    }
    return taken;
  }

  /** The ledger is not written to: what left it was counted by the caller. */
  settle(taken: TakenFrames, leasedBytes: number, outcome: ExportOutcome): void {
    const { spanCount } = taken.batch;
    this.leasedBytes -= leasedBytes;
    this.leasedSpans -= spanCount;
    const { remaining } = outcome;
    // An outcome that does not add up says nothing: the whole batch waits on.
    const left =
      accountedFor(outcome) !== spanCount
        ? spanCount
        : outcome.failure === 'permanent'
          ? 0
          : (remaining?.spanCount ?? 0);
    if (this.isLost) this.options.ledger.deliver(left);
    else if (left === 0 && outcome.dropped.poison) this.track(this.isolate(taken));
    else if (left === 0) this.release(taken);
    else if (left === spanCount) this.putBack(taken);
    else this.track(this.replace(taken, remaining!));
  }

  /** Nothing is in memory alone any more: what was kept for that case goes. */
  removeSpares(): Promise<void> {
    return this.store.removeSpares();
  }

  /** What is written is durable, and what is settled noted. No handle and no timer is left. */
  async close(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending);
    await this.queue.close();
    await this.store.close();
  }

  private async takeUnsynced(): Promise<TakenFrames | undefined> {
    if (!this.queue.hasUnsynced) return undefined;
    await this.queue.syncNow();
    return this.reader.take(this.store.segments);
  }

  private release({ segment, frames }: TakenFrames): void {
    segment.leasedFrames -= frames.length;
    this.store.settle(segment, frames);
  }

  /** It is there before it is nowhere else; a quarantine that cannot be written to keeps no poison waiting. */
  private async isolate(taken: TakenFrames): Promise<void> {
    const { quarantining } = this;
    this.quarantining = quarantining.then(() => quietly(this.quarantine.add(taken.batch)));
    await this.quarantining;
    this.release(taken);
  }

  /** The rest first, or a crash in between would lose it. */
  private async replace(taken: TakenFrames, remaining: SpanBatch): Promise<void> {
    try {
      await this.append(remaining, () => {}, { needsSync: true });
    } catch {
      this.putBack(remainderOf(taken, remaining));
      return;
    }
    this.release(taken);
  }

  private putBack(taken: TakenFrames): void {
    if (!taken.isRemainder) this.reader.putBack(taken);
    else {
      this.remainders.push(taken);
      this.leasedBytes += taken.batch.byteLength;
    }
  }

  /** These stay leased, as far as their segment knows. */
  private takeRemainder(): TakenFrames | undefined {
    const taken = this.remainders.shift();
    if (taken) this.leasedBytes -= taken.batch.byteLength;
    return taken;
  }

  private dropCorrupt(segment: Segment, frames: TakenFrames['frames']): void {
    let bytes = 0;
    let spans = 0;
    for (const { bodyBytes, spanCount } of frames) {
      bytes += FRAME_HEADER_BYTES + bodyBytes;
      spans += spanCount;
    }
    this.count({ bytes, spans, frames: frames.length });
    this.options.ledger.drop(spans, 'corrupt');
    this.store.settle(segment, frames);
  }

  private count(damage: Damage): void {
    this.found.bytes += damage.bytes;
    this.found.frames += damage.frames;
    this.found.spans += damage.spans;
  }

  /** Called by the queue while it stands still. */
  private makeRoom(bytes: number): boolean | Promise<boolean> {
    const { settings, otherBytes } = this.options;
    const needed = bytes + EMPTY_SEGMENT_BYTES + ACK_BYTES;
    const fits = () => this.isWithin(needed) && this.store.segments.length < MAX_SEGMENTS;
    if (fits()) return true;
    if (settings.dropPolicy === 'newest' || needed + otherBytes() > settings.maxBytes) return false;
    return this.evictUntil(fits);
  }

  private async evictUntil(fits: () => boolean): Promise<boolean> {
    while (!fits()) {
      if (await this.store.evict()) continue;
      // What is being written is all that is left.
      const before = this.store.segments.filter(({ active }) => active).length;
      if (before === 0) return false;
      await this.queue.finish();
      if (!(await this.store.evict())) return fits();
    }
    return true;
  }

  private track(work: Promise<unknown>): void {
    const done = quietly(work).finally(() => this.pending.delete(done));
    this.pending.add(done);
  }
}

/** The same frames for fewer spans. */
function remainderOf(taken: TakenFrames, batch: SpanBatch): TakenFrames {
  const { segment, frames } = taken;
  const gone = taken.batch.spanCount - batch.spanCount;
  segment.spans -= gone;
  let left = gone;
  const fewer = frames.map((frame) => {
    const spanCount = Math.max(0, frame.spanCount - left);
    left -= frame.spanCount - spanCount;
    return { ...frame, spanCount };
  });
  return { segment, frames: fewer, batch, isRemainder: true };
}

const TOO_SLOW = new Error('the disk does not keep up');
