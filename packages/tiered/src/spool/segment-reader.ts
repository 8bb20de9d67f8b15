import { crc32 } from 'node:zlib';
import type { OpenFile } from '@otel-resilience/core';
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameKey,
  frameKey,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './frame.js';
import { frameBytes } from './pending-frame.js';
import { type FrameEntry, tokenOf } from './segment.js';

export interface ScannedFrame extends FrameEntry {
  readonly wallMillis: number;
}

export interface Damage {
  bytes: number;
  /** Regions of damage. */
  frames: number;
  /** Of frames whose header can still be read. */
  spans: number;
}

export interface Scan {
  /** Where the last intact frame ends. */
  readonly end: number;
  /** Between frames: skipped. */
  readonly corrupt: Damage;
  /** After the last frame: what a crash has left of an append. */
  readonly torn: Damage;
}

export interface SegmentHead {
  /** `undefined` where it is damaged. */
  readonly header: SegmentHeader | undefined;
  /** Of the header or, where that is damaged, of the name of the file. */
  readonly token: bigint;
  readonly bytes: number;
  /** As of a file whose content never got to the disk; or one that was cut off in its header. */
  readonly isBlank: boolean;
}

/** How a segment begins; `undefined` for one of another version. */
export async function readHead(file: OpenFile, name: string): Promise<SegmentHead | undefined> {
  const bytes = await readFully(file, 0, SEGMENT_HEADER_BYTES);
  const header = decodeSegmentHeader(bytes);
  if (header === 'other version') return undefined;
  const isBlank = bytes.byteLength < SEGMENT_HEADER_BYTES || bytes.every((byte) => byte === 0);
  return { header, token: header?.token ?? tokenOf(name), bytes: bytes.byteLength, isBlank };
}

export const noDamage = (): Damage => ({ bytes: 0, frames: 0, spans: 0 });

/** Headers are read in as little as this where bodies are large, and so much at a time where they are small. */
const MIN_WINDOW_BYTES = 4 * 1024;
const MAX_WINDOW_BYTES = 256 * 1024;

/**
 * Finds the frames from `from` to `to`, hopping from header to header: bodies are not read. Where no header is, as after
 * damage, the next one is looked for byte by byte. Frames that come a second time are passed over, and so are seals.
 */
export async function scanFrames(
  file: OpenFile,
  token: bigint,
  from: number,
  to: number,
  visit: (frame: ScannedFrame) => void,
  onPassedOver?: (header: FrameHeader) => void,
): Promise<Scan> {
  const window = new Window(file, frameKey(token), to);
  const corrupt = noDamage();
  const torn = noDamage();
  let end = from;
  let lastId = -1;
  let last: (FrameHeader & { offset: number }) | undefined;
  let at = from;
  while (at + FRAME_HEADER_BYTES <= to) {
    let header = await window.header(at);
    let offset = at;
    if (!header || at + frameBytes(header) > to) {
      // A frame out of which bytes are missing ends somewhere within the next one.
      const isCut = last && last.offset + frameBytes(last) === at && !(await isIntact(file, last));
      const found = await window.search(isCut ? last!.offset + 1 : at + 1, lastId);
      if (!found) {
        if (header && !header.isSeal) torn.spans += header.spanCount;
        break;
      }
      ({ header, offset } = found);
      corrupt.frames++;
      corrupt.bytes += Math.max(0, offset - end);
    }
    if (header.id > lastId && !header.isSeal) {
      lastId = header.id;
      const { bodyBytes, bodyCrc, spanCount, id, wallMillis } = header;
      visit({ offset, bodyBytes, bodyCrc, spanCount, id, wallMillis });
    } else {
      onPassedOver?.(header);
    }
    last = { ...header, offset };
    at = offset + frameBytes(header);
    end = at;
  }
  torn.bytes = to - end;
  if (torn.bytes > 0) torn.frames = 1;
  return { end, corrupt, torn };
}

/** Reads the frames, which lie one after the other, at once: their bodies, `undefined` for a damaged one. */
export async function readBodies(file: OpenFile, frames: readonly FrameEntry[]): Promise<Array<Buffer | undefined>> {
  const [first] = frames;
  const last = frames.at(-1);
  if (!first || !last) return [];
  const start = first.offset + FRAME_HEADER_BYTES;
  const bytes = await readFully(file, start, last.offset + frameBytes(last) - start);
  return frames.map(({ offset, bodyBytes, bodyCrc }) => {
    const at = offset + FRAME_HEADER_BYTES - start;
    const body = bytes.subarray(at, at + bodyBytes);
    return body.byteLength === bodyBytes && crc32(body) === bodyCrc ? body : undefined;
  });
}

/** Fewer bytes than asked for where the file ends. */
export async function readFully(
  file: OpenFile,
  position: number,
  length: number,
  into: Buffer = Buffer.allocUnsafeSlow(length),
): Promise<Buffer> {
  let filled = 0;
  while (filled < length) {
    const read = await file.read(into.subarray(filled), position + filled);
    if (read <= 0) break;
    filled += read;
  }
  return into.subarray(0, filled);
}

async function isIntact(file: OpenFile, frame: FrameHeader & { offset: number }): Promise<boolean> {
  const body = await readFully(file, frame.offset + FRAME_HEADER_BYTES, frame.bodyBytes);
  return body.byteLength === frame.bodyBytes && crc32(body) === frame.bodyCrc;
}

/** The part of a file that was read last. */
class Window {
  private readonly file: OpenFile;
  private readonly key: FrameKey;
  private readonly to: number;
  private bytes: Buffer = Buffer.alloc(0);
  /** Used over and over: nobody keeps any of it. */
  private buffer: Buffer = this.bytes;
  private start = 0;
  private windowBytes = MIN_WINDOW_BYTES;

  constructor(file: OpenFile, key: FrameKey, to: number) {
    this.file = file;
    this.key = key;
    this.to = to;
  }

  async header(at: number): Promise<FrameHeader | undefined> {
    if (!this.holds(at, FRAME_HEADER_BYTES)) {
      const isNear = at < this.start + 2 * this.bytes.byteLength;
      this.windowBytes = isNear ? Math.min(this.windowBytes * 4, MAX_WINDOW_BYTES) : MIN_WINDOW_BYTES;
      await this.load(at, this.windowBytes);
    }
    return this.holds(at, FRAME_HEADER_BYTES) ? decodeFrameHeader(this.bytes, this.key, at - this.start) : undefined;
  }

  /** The next header from `from` on that is newer than `lastId` and whose frame is all there. */
  async search(from: number, lastId: number): Promise<{ header: FrameHeader; offset: number } | undefined> {
    for (let at = from; at + FRAME_HEADER_BYTES <= this.to; ) {
      if (!this.holds(at, FRAME_HEADER_BYTES)) await this.load(at, MAX_WINDOW_BYTES);
      if (!this.holds(at, FRAME_HEADER_BYTES)) return undefined;
      const { mark } = this.key;
      const found = this.bytes.indexOf(mark, at - this.start);
      if (found < 0) {
        at = this.start + this.bytes.byteLength - mark.byteLength + 1;
        continue;
      }
      const offset = this.start + found;
      const header = await this.header(offset);
      if (header && header.id > lastId && offset + frameBytes(header) <= this.to) return { header, offset };
      at = offset + 1;
    }
    return undefined;
  }

  private holds(at: number, length: number): boolean {
    return at >= this.start && at + length <= this.start + this.bytes.byteLength;
  }

  private async load(at: number, length: number): Promise<void> {
    const wanted = Math.min(length, this.to - at);
    if (this.buffer.byteLength < wanted) this.buffer = Buffer.allocUnsafeSlow(wanted);
    this.bytes = await readFully(this.file, at, wanted, this.buffer.subarray(0, wanted));
    this.start = at;
  }
}
