import { crc32 } from 'node:zlib';
import type { FileSystem } from '@otel-resilience/core';
import { readInteger, writeInteger } from './frame.js';
import { ACK_BYTES, ackPath, type Segment } from './segment.js';
import { readFully } from './segment-reader.js';
import { writeFully } from './segment-writer.js';

const ACK_MAGIC = 0x4b41_524f;

/**
 * Notes that frames are settled, in the file beside their segment. It only saves duplicates: a note that is lost, torn,
 * or of another segment (its token differs) counts for nothing.
 */
export async function appendAcks(fileSystem: FileSystem, segment: Segment, ids: readonly number[]): Promise<void> {
  const path = ackPath(segment);
  const file = await fileSystem.open(path, 'update').catch((error) => {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
    return fileSystem.open(path, 'create');
  });
  try {
    // After the last whole record: one that was torn is written over.
    const size = await file.size();
    await writeFully(file, [encodeAcks(segment.token, ids)], size - (size % ACK_BYTES));
  } finally {
    await file.close();
  }
}

/** The frames of a segment that are settled. */
export async function readAcks(fileSystem: FileSystem, segment: Segment): Promise<Set<number>> {
  const settled = new Set<number>();
  const file = await fileSystem.open(ackPath(segment), 'read');
  try {
    const bytes = await readFully(file, 0, await file.size());
    for (let at = 0; at + ACK_BYTES <= bytes.byteLength; at += ACK_BYTES) {
      if (bytes.readUInt32LE(at) !== ACK_MAGIC) continue;
      if (bytes.readUInt32LE(at + 4) !== crc32(bytes.subarray(at + 8, at + ACK_BYTES))) continue;
      if (bytes.readBigUInt64LE(at + 8) === segment.token) settled.add(readInteger(bytes, at + 16));
    }
  } finally {
    await file.close();
  }
  return settled;
}

function encodeAcks(token: bigint, ids: readonly number[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(ids.length * ACK_BYTES);
  for (const [index, id] of ids.entries()) {
    const at = index * ACK_BYTES;
    bytes.writeUInt32LE(ACK_MAGIC, at);
    bytes.writeBigUInt64LE(token, at + 8);
    writeInteger(bytes, id, at + 16);
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, at + ACK_BYTES)), at + 4);
  }
  return bytes;
}
