import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** FORMAT.md beside this file says what these bytes mean, and what may become of them. Little endian throughout. */
export const SEGMENT_HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 40;
export const SEAL_BYTES = FRAME_HEADER_BYTES + 40;
export const FORMAT_VERSION = 2;

const SEGMENT_MAGIC = 0x4753_524f;
/** The frame holds no spans: it sums up those before it. */
const SEAL_FLAG = 1;
const TWO_32 = 2 ** 32;

export interface SegmentHeader {
  readonly number: number;
  readonly createdMillis: number;
  /** Random: tells a segment from any other, and its frames from whatever the bodies of spans may contain. */
  readonly token: bigint;
}

/** What the frames of a segment are known by, made of its token: nobody who has not seen that can make one. */
export interface FrameKey {
  /** How each of them begins: what to look for after damage. */
  readonly mark: Buffer;
  /** Where the checksums of their headers begin. */
  readonly startCrc: number;
}

export interface FrameHeader {
  readonly bodyBytes: number;
  readonly spanCount: number;
  readonly id: number;
  readonly wallMillis: number;
  readonly bodyCrc: number;
  readonly isSeal: boolean;
}

/** What the last frame of a finished segment says of those before it. */
export interface Seal {
  readonly frames: number;
  readonly spans: number;
  readonly lastId: number;
  readonly newestMillis: number;
  /** Where the seal begins: one that stands elsewhere speaks of another state of the file. */
  readonly offset: number;
}

export const newToken = (): bigint => randomBytes(8).readBigUInt64LE();

export function frameKey(token: bigint): FrameKey {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(token);
  return { mark: bytes.subarray(0, 4), startCrc: crc32(bytes) };
}

export function crcOf(chunks: readonly Uint8Array[]): number {
  let crc = 0;
  for (const chunk of chunks) crc = crc32(chunk, crc);
  return crc;
}

export function encodeSegmentHeader({ number, createdMillis, token }: SegmentHeader): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(SEGMENT_HEADER_BYTES);
  bytes.writeUInt32LE(SEGMENT_MAGIC, 0);
  bytes.writeUInt16LE(FORMAT_VERSION, 4);
  bytes.writeUIntLE(wholeMillis(createdMillis), 6, 6);
  writeInteger(bytes, number, 12);
  bytes.writeBigUInt64LE(token, 20);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
  return bytes;
}

/** `undefined` for what is no header. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | 'other version' | undefined {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES || bytes.readUInt32LE(0) !== SEGMENT_MAGIC) return undefined;
  if (bytes.readUInt32LE(28) !== crc32(bytes.subarray(0, 28))) return undefined;
  if (bytes.readUInt16LE(4) !== FORMAT_VERSION) return 'other version';
  return {
    createdMillis: bytes.readUIntLE(6, 6),
    number: readInteger(bytes, 12),
    token: bytes.readBigUInt64LE(20),
  };
}

export function encodeFrameHeader(header: FrameHeader, key: FrameKey): Uint8Array {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  writeFrameHeader(bytes, header, key);
  return bytes;
}

/** `undefined` for what is none: its checksum is its own, so that its length can be trusted whatever became of the body. */
export function decodeFrameHeader(bytes: Buffer, key: FrameKey, at = 0): FrameHeader | undefined {
  if (bytes.readUInt32LE(at) !== key.mark.readUInt32LE()) return undefined;
  if (bytes.readUInt32LE(at + 4) !== headerCrc(bytes, key, at)) return undefined;
  return {
    bodyBytes: bytes.readUInt32LE(at + 8),
    spanCount: bytes.readUInt32LE(at + 12),
    id: readInteger(bytes, at + 16),
    wallMillis: readInteger(bytes, at + 24),
    bodyCrc: bytes.readUInt32LE(at + 32),
    isSeal: (bytes.readUInt32LE(at + 36) & SEAL_FLAG) !== 0,
  };
}

export function encodeSeal({ frames, spans, lastId, newestMillis, offset }: Seal, key: FrameKey): Uint8Array {
  const bytes = Buffer.allocUnsafe(SEAL_BYTES);
  const body = bytes.subarray(FRAME_HEADER_BYTES);
  for (const [index, value] of [frames, spans, lastId, newestMillis, offset].entries()) {
    writeInteger(body, value, index * 8);
  }
  const header = { bodyBytes: body.byteLength, spanCount: 0, id: lastId, wallMillis: newestMillis };
  writeFrameHeader(bytes, { ...header, bodyCrc: crc32(body), isSeal: true }, key);
  return bytes;
}

/** The seal that begins `bytes`, or `undefined`. */
export function decodeSeal(bytes: Buffer, key: FrameKey): Seal | undefined {
  if (bytes.byteLength < SEAL_BYTES) return undefined;
  const header = decodeFrameHeader(bytes, key);
  if (!header?.isSeal || header.bodyBytes !== SEAL_BYTES - FRAME_HEADER_BYTES) return undefined;
  const body = bytes.subarray(FRAME_HEADER_BYTES, SEAL_BYTES);
  if (crc32(body) !== header.bodyCrc) return undefined;
  const [frames, spans, lastId, newestMillis, offset] = [0, 8, 16, 24, 32].map((at) => readInteger(body, at));
  return { frames: frames!, spans: spans!, lastId: lastId!, newestMillis: newestMillis!, offset: offset! };
}

function writeFrameHeader(bytes: Buffer, header: FrameHeader, key: FrameKey): void {
  key.mark.copy(bytes);
  bytes.writeUInt32LE(header.bodyBytes, 8);
  bytes.writeUInt32LE(header.spanCount, 12);
  writeInteger(bytes, header.id, 16);
  writeInteger(bytes, wholeMillis(header.wallMillis), 24);
  bytes.writeUInt32LE(header.bodyCrc, 32);
  bytes.writeUInt32LE(header.isSeal ? SEAL_FLAG : 0, 36);
  bytes.writeUInt32LE(headerCrc(bytes, key), 4);
}

const headerCrc = (bytes: Buffer, { startCrc }: FrameKey, at = 0): number =>
  crc32(bytes.subarray(at + 8, at + FRAME_HEADER_BYTES), startCrc);

/** A u64 that is a safe integer. */
export function writeInteger(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % TWO_32, at);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

export function readInteger(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);
}

/** What a wall clock may say: before 1970 counts as 1970. */
const wholeMillis = (millis: number): number => Math.max(0, Math.floor(millis)) || 0;
