import type { Clock, ExportOutcome, FileSystem, SpanBatch, SpoolLedger } from '@otel-resilience/core';
import { DiskLeases } from './disk-leases.js';
import { crcOf, FRAME_HEADER_BYTES } from './frame.js';
import { FrameReader, type TakenFrames } from './frame-reader.js';
import type { PendingFrame } from './pending-frame.js';
import { Quarantine } from './quarantine.js';
import type { Recovered } from './recovery.js';
import { ACK_BYTES, EMPTY_SEGMENT_BYTES, type Segment } from './segment.js';
import { type Damage, noDamage } from './segment-reader.js';
import { SegmentStore } from './segment-store.js';
import type { SpoolSettings } from './spool-options.js';
import { WriteQueue } from './write-queue.js';

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
  /** Something can be leased that could not be before, though nobody has appended it. */
  readonly onArrival: () => void;
}

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
  private readonly leases: DiskLeases;
  private readonly quarantine: Quarantine;
  private readonly found: Damage = noDamage();
  private nextId: number;
  private nextSegment: number;
  private lost: 'taken' | 'removed' | undefined;
  /** For what is being written: not to be taken by what has to wait in memory. */
  private reservedBytes = 0;

  constructor(options: DiskQueueOptions) {
    const { fileSystem, clock, directory, settings, ledger, recovered } = options;
    const { fsync, fsyncIntervalMillis, maxSegmentBytes, maxAgeMillis, order, maxBytes } = settings;
    this.options = options;
    this.nextId = recovered.nextId;
    this.nextSegment = recovered.nextNumber;
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
      onRoomUsed: () => {
        this.reservedBytes = 0;
      },
      onSegment: (segment) => this.store.add(segment),
      onDiscard: (segment) => this.store.forget(segment),
      onUnsaved: (frames, error) =>
        options.onUnsaved(
          frames.map(({ batch }) => batch),
          error,
        ),
    });
    const reader = new FrameReader({
      fileSystem,
      clock,
      order,
      maxJoinedBytes: Math.min(MAX_JOINED_BYTES, maxBytes * MAX_JOINED_SHARE),
      onMissing: (_, spans) => (spans > 0 ? ledger.drop(spans, 'corrupt') : ledger.recover(-spans)),
      onDamage: (damage) => this.count(damage),
      onCorrupt: (segment, frames) => this.dropCorrupt(segment, frames),
      onRemoved: (segment) => this.dropRemoved(segment),
      onForeign: (segment) => this.store.disown(segment),
    });
    this.quarantine = new Quarantine({ fileSystem, clock, directory, sync: fsync !== 'never' });
    this.leases = new DiskLeases({
      store: this.store,
      reader,
      quarantine: this.quarantine,
      append: (batch) => this.append(batch, () => {}, { needsSync: true }),
      reveal: () => this.reveal(),
      onReturned: options.onArrival,
    });
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
    return this.store.bytes + this.reservedBytes + otherBytes() + bytes <= settings.maxBytes;
  }

  /** Makes room for what has to wait elsewhere: `false` where there is none left to give up. */
  async evict(): Promise<boolean> {
    return this.options.settings.dropPolicy === 'oldest' && this.store.evict();
  }

  /** Another process has the directory, and answers for what waits in it, like a receiver that has stored it; or it is gone. */
  lose(isRemoved: boolean): void {
    if (this.lost) return;
    this.lost = isRemoved ? 'removed' : 'taken';
    this.queue.halt();
    this.countLost(this.store.abandon() - this.leases.spans);
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

  /**
   * Resolves when it is as durable as `fsync` says or, with `needsSync`, will ever be; `onAcknowledged` is called just
   * before. Rejects with `NO_ROOM`, what encoding throws, or an error of the disk.
   */
  async append(batch: SpanBatch, onAcknowledged: () => void, { needsSync = false } = {}): Promise<void> {
    if (this.queue.pendingBytes > MAX_PENDING_BYTES) throw TOO_SLOW;
    const chunks = batch.otlp();
    let bodyBytes = 0;
    for (const chunk of chunks) bodyBytes += chunk.byteLength;
    const id = this.nextId++;
    const wallMillis = this.options.clock.wallTime();
    const bodyCrc = crcOf(chunks);
    await new Promise<void>((resolve, reject) => {
      const frame: PendingFrame = {
        batch,
        id,
        wallMillis,
        bodyBytes,
        bodyCrc,
        body: chunks,
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
    return this.leases.take();
  }

  /** What left the ledger was counted by the caller. */
  settle(taken: TakenFrames, outcome: ExportOutcome): void {
    const left = this.leases.settle(taken, outcome);
    if (this.lost) this.countLost(left);
  }

  /** Nothing is in memory alone any more: what was kept for that case goes. */
  removeSpares(): Promise<void> {
    return this.store.removeSpares();
  }

  /** For when `close` takes too long. */
  stopTimers(): void {
    this.queue.stopTimer();
    this.store.stop();
  }

  /** What is written is durable, and what is settled noted. No handle and no timer is left. */
  async close(): Promise<void> {
    await this.leases.idle();
    await this.queue.close();
    await this.store.close();
  }

  private async reveal(): Promise<boolean> {
    if (!this.queue.hasUnsynced) return false;
    await this.queue.syncNow();
    return true;
  }

  private dropCorrupt(segment: Segment, frames: TakenFrames['frames']): void {
    let bytes = 0;
    let spans = 0;
    for (const { bodyBytes, spanCount } of frames) {
      bytes += FRAME_HEADER_BYTES + bodyBytes;
      spans += spanCount;
    }
    this.count({ bytes, spans, frames: frames.length });
    segment.spans -= spans;
    this.options.ledger.drop(spans, 'corrupt');
    this.store.settle(segment, frames);
  }

  /** By whoever it was. While some of it is leased or being written it is tried again, like others that cannot be read. */
  private dropRemoved(segment: Segment): void {
    if (segment.active) void this.queue.finishIfIdle(segment);
    if (segment.active || segment.leasedFrames > 0) return;
    this.options.ledger.drop(segment.spans, 'corrupt');
    this.store.disown(segment);
  }

  private countLost(spans: number): void {
    if (this.lost === 'removed') this.options.ledger.drop(spans, 'corrupt');
    else this.options.ledger.deliver(spans);
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
    const takeRoom = () => {
      if (!this.isWithin(needed) || this.store.segments.length >= MAX_SEGMENTS) return false;
      this.reservedBytes = needed;
      return true;
    };
    if (takeRoom()) return true;
    if (settings.dropPolicy === 'newest' || needed + otherBytes() > settings.maxBytes) return false;
    return this.evictUntil(takeRoom);
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
}

const TOO_SLOW = new Error('the disk does not keep up');
