import { crc32 } from 'node:zlib';

/** What a process had accounted for when it was last written down. */
export interface CheckpointRecord {
  /** Ascending. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly wallMillis: number;
  /** So many spans at most have ended, until the next record. */
  readonly reserved: number;
  /** Of those that had ended, what cannot be lost any more: sent, stored, or given up. */
  readonly settled: number;
}

export const RECORD_BYTES = 40;
/** Two places in turn: a record that is torn leaves the one before. */
export const CHECKPOINT_BYTES = 2 * RECORD_BYTES;

/** As long as this it is neither blank nor a record: nothing could be written to it any more. */
export const INVALID_BYTES = 1;

const MAGIC = 0x4f52_4350; // ORCP
const CHECKED_FROM = 8;

export function encodeRecord({ sequence, wallMillis, reserved, settled }: CheckpointRecord): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setBigUint64(8, BigInt(sequence), true);
  view.setBigUint64(16, BigInt(Math.max(0, Math.round(wallMillis))), true);
  view.setBigUint64(24, BigInt(reserved), true);
  view.setBigUint64(32, BigInt(settled), true);
  view.setUint32(4, crc32(bytes.subarray(CHECKED_FROM)), true);
  return bytes;
}

/** Where the record with this sequence number goes. */
export const placeOf = (sequence: number): number => (sequence % 2) * RECORD_BYTES;

/** As it is made: nothing has been written to it yet. */
export const isBlank = (bytes: Uint8Array): boolean =>
  [0, CHECKPOINT_BYTES].includes(bytes.length) && bytes.every((byte) => byte === 0);

/** The newest that is whole. */
export function readCheckpoint(bytes: Uint8Array): CheckpointRecord | undefined {
  const records = [0, RECORD_BYTES].map((at) => decodeRecord(bytes.subarray(at, at + RECORD_BYTES)));
  const [first, second] = records;
  if (!first || !second) return first ?? second;
  return first.sequence > second.sequence ? first : second;
}

function decodeRecord(bytes: Uint8Array): CheckpointRecord | undefined {
  if (bytes.length < RECORD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_BYTES);
  if (view.getUint32(0) !== MAGIC || view.getUint32(4, true) !== crc32(bytes.subarray(CHECKED_FROM))) return undefined;
  const numberAt = (offset: number) => Number(view.getBigUint64(offset, true));
  return { sequence: numberAt(8), wallMillis: numberAt(16), reserved: numberAt(24), settled: numberAt(32) };
}
