import type { Socket } from 'node:net';
import type { Timer } from '@otel-resilience/core';
import type { Cut, Direction, Link } from './link.js';

/** How much one direction of one connection holds back before it stops reading. */
const MAX_QUEUED_BYTES = 256 * 1024;
/** A throttled chunk passes in pieces of this much time. */
const PIECE_MILLIS = 20;

interface Chunk {
  readonly arrivedAt: number;
  /** From 0 to 1. */
  readonly jitter: number;
  bytes: Buffer;
}

/** One direction of a connection: a delay line that keeps order and respects back-pressure. */
export class Flow {
  private readonly from: Socket;
  private readonly direction: Direction;
  private readonly link: Link;
  private readonly onCut: () => void;
  private to: Socket | undefined;
  private queue: Chunk[] = [];
  private queuedBytes = 0;
  private ended = false;
  private swallowed = false;
  private swallowing = false;
  private closed = false;
  private timer: Timer | undefined;
  private freeAt = Number.NEGATIVE_INFINITY;
  private cut: Cut | undefined;
  private untilCut = Number.POSITIVE_INFINITY;

  constructor(from: Socket, direction: Direction, link: Link, onCut: () => void) {
    this.from = from;
    this.direction = direction;
    this.link = link;
    this.onCut = onCut;
    from.on('data', (bytes: Buffer) => this.take(bytes));
    from.on('end', () => this.takeEnd());
    from.pause();
  }

  /** Bytes or an end were swallowed: the two sides no longer agree on what was said. */
  get lost(): boolean {
    return this.swallowed;
  }

  connect(to: Socket): void {
    this.to = to;
    to.on('drain', () => this.step());
    this.update();
  }

  /** Reads the link's conditions anew. With `swallow`, everything vanishes from here on. */
  update({ swallow = false }: { swallow?: boolean } = {}): void {
    this.swallowing = swallow;
    if (this.cut !== this.link.cut) {
      this.cut = this.link.cut;
      this.untilCut = this.cut?.direction === this.direction ? this.cut.bytes : Number.POSITIVE_INFINITY;
    }
    if (swallow && this.queue.length > 0) {
      this.swallowed = true;
      this.queue = [];
      this.queuedBytes = 0;
    }
    this.step();
  }

  close(): void {
    this.closed = true;
    this.queue = [];
    this.link.clock.clearTimeout(this.timer);
  }

  private take(bytes: Buffer): void {
    if (this.swallowing) {
      this.swallowed = true;
      return;
    }
    this.queue.push({ arrivedAt: this.link.clock.now(), jitter: this.link.random(), bytes });
    this.queuedBytes += bytes.byteLength;
    this.step();
  }

  private takeEnd(): void {
    if (this.swallowing) this.swallowed = true;
    else this.ended = true;
    this.step();
  }

  private step(): void {
    const { clock, mode } = this.link;
    clock.clearTimeout(this.timer);
    this.timer = undefined;
    if (this.closed) return;
    if (this.to && mode === 'pass' && !this.swallowing) this.passWhatIsDue(this.to);
    this.readOn();
  }

  private passWhatIsDue(to: Socket): void {
    const { clock, latencyMillis, jitterMillis } = this.link;
    for (let head = this.queue[0]; head && !this.closed; head = this.queue[0]) {
      if (to.writableNeedDrain) return;
      const now = clock.now();
      const dueAt = Math.max(head.arrivedAt + latencyMillis + head.jitter * jitterMillis, this.freeAt);
      if (dueAt > now) {
        this.timer = clock.setTimeout(() => this.step(), dueAt - now);
        return;
      }
      this.write(to, this.takePiece(head, now));
    }
    if (this.ended && !this.closed && !to.writableEnded) to.end();
  }

  private takePiece(head: Chunk, now: number): Buffer {
    const { throttleBytesPerSecond: rate } = this.link;
    const size = rate > 0 ? Math.max(1, Math.floor((rate * PIECE_MILLIS) / 1000)) : head.bytes.byteLength;
    const piece = head.bytes.subarray(0, size);
    head.bytes = head.bytes.subarray(size);
    if (head.bytes.byteLength === 0) this.queue.shift();
    this.queuedBytes -= piece.byteLength;
    // A timer that fires late is made up for, within one piece.
    if (rate > 0) this.freeAt = Math.max(this.freeAt, now - PIECE_MILLIS) + (piece.byteLength / rate) * 1000;
    else this.freeAt = Number.NEGATIVE_INFINITY;
    return piece;
  }

  private write(to: Socket, piece: Buffer): void {
    const { cut, link } = this;
    if (cut && cut.timesLeft > 0 && piece.byteLength >= this.untilCut) {
      cut.timesLeft--;
      this.closed = true;
      link.passedBytes[this.direction] += this.untilCut;
      if (this.untilCut === 0) this.onCut();
      else to.write(piece.subarray(0, this.untilCut), () => this.onCut());
      return;
    }
    this.untilCut -= piece.byteLength;
    link.passedBytes[this.direction] += piece.byteLength;
    to.write(piece);
  }

  private readOn(): void {
    const hasRoom = this.to !== undefined && this.link.mode !== 'stall' && this.queuedBytes < MAX_QUEUED_BYTES;
    if (this.swallowing || (hasRoom && !this.closed)) this.from.resume();
    else this.from.pause();
  }
}
