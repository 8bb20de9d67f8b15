import { crc32 } from 'node:zlib';

/** What a request says of the bytes that it brings. Some servers keep only a checksum whose algorithm is named. */
export const checksumOf = (bytes: Uint8Array) =>
  ({ ChecksumAlgorithm: 'CRC32', ChecksumCRC32: crc32Base64(bytes) }) as const;

/** As S3's headers have it: big endian. */
export function crc32Base64(bytes: Uint8Array): string {
  const buffer = Buffer.allocUnsafe(4);
  buffer.writeUInt32BE(crc32(bytes));
  return buffer.toString('base64');
}

/** `undefined` for a checksum of checksums (`…-3`), which says nothing of the bytes as a whole. */
export function parseCrc32(checksum: string | undefined): number | undefined {
  const bytes = Buffer.from(checksum?.includes('-') ? '' : (checksum ?? ''), 'base64');
  return bytes.byteLength === 4 ? bytes.readUInt32BE() : undefined;
}
