import { crc32 } from 'node:zlib';
import { TraceIdFilter } from './trace-id-filter.js';

export const INDEX_VERSION = 1;
/** A larger one is no index of ours. */
export const MAX_INDEX_BYTES = 8 * 1024 * 1024;

/** What an archive object holds, so that it need not be read to know. OBJECTS.md has the format. */
export interface ArchiveIndex {
  /** The first 16 bytes of the SHA-256 of the uncompressed data, in hexadecimal: that of the key. */
  readonly id: string;
  /** Earliest start and latest end of a span, in milliseconds since the epoch. */
  readonly startMillis: number;
  readonly endMillis: number;
  /** When it was archived, by the wall clock of whoever did it. */
  readonly archivedMillis: number;
  readonly spanCount: number;
  /** Spans per `service.name`. */
  readonly services: ReadonlyMap<string, number>;
  readonly errorCount: number;
  /** Bytes of the data object, as it is stored and uncompressed. */
  readonly storedBytes: number;
  readonly rawBytes: number;
  /** Of the data object as it is stored. */
  readonly crc32: number;
  readonly traceIds: TraceIdFilter;
}

// The checksum stands in front, and is that of what follows, up to the last brace.
const HEAD = /^\{"crc32":"([0-9a-f]{8})","index":/;
const HEAD_LENGTH = '{"crc32":"00000000","index":'.length;

export function encodeIndex({ services, traceIds, crc32: dataCrc, ...index }: ArchiveIndex): Uint8Array {
  const body = Buffer.from(
    JSON.stringify({
      version: INDEX_VERSION,
      ...index,
      crc32: hex32(dataCrc),
      services: [...services],
      traceIds: { hashes: traceIds.hashes, bits: Buffer.from(traceIds.bits).toString('base64') },
    }),
  );
  return Buffer.concat([Buffer.from(`{"crc32":"${hex32(crc32(body))}","index":`), body, Buffer.from('}\n')]);
}

/** `undefined` for what is no index of this version, or is damaged. Never throws. */
export function decodeIndex(bytes: Uint8Array): ArchiveIndex | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [, expected] = HEAD.exec(buffer.toString('latin1', 0, HEAD_LENGTH)) ?? [];
  const end = buffer.lastIndexOf('}');
  if (!expected || end < HEAD_LENGTH) return undefined;
  const body = buffer.subarray(HEAD_LENGTH, end);
  if (hex32(crc32(body)) !== expected) return undefined;
  try {
    return readIndex(JSON.parse(body.toString()));
  } catch {
    return undefined;
  }
}

/** What is signed by a checksum may still have been written by somebody else. */
function readIndex(index: Record<string, unknown>): ArchiveIndex | undefined {
  if (index.version !== INDEX_VERSION || !/^[0-9a-f]{32}$/.test(String(index.id))) return undefined;
  for (const name of ['startMillis', 'endMillis', 'archivedMillis'])
    if (!Number.isFinite(index[name])) return undefined;
  for (const name of ['spanCount', 'errorCount', 'storedBytes', 'rawBytes']) {
    if (!Number.isSafeInteger(index[name]) || (index[name] as number) < 0) return undefined;
  }
  const { hashes, bits } = index.traceIds as { hashes: number; bits: string };
  const filterBits = Buffer.from(bits, 'base64');
  if (!Number.isInteger(hashes) || hashes < 1 || hashes > 32 || filterBits.byteLength === 0) return undefined;
  const services = new Map(index.services as Array<[string, number]>);
  for (const [name, spans] of services) if (typeof name !== 'string' || !Number.isSafeInteger(spans)) return undefined;
  return {
    id: index.id as string,
    startMillis: index.startMillis as number,
    endMillis: index.endMillis as number,
    archivedMillis: index.archivedMillis as number,
    spanCount: index.spanCount as number,
    errorCount: index.errorCount as number,
    storedBytes: index.storedBytes as number,
    rawBytes: index.rawBytes as number,
    crc32: Number.parseInt(String(index.crc32), 16),
    services,
    traceIds: new TraceIdFilter(filterBits, hashes),
  };
}

/** Whether two say the same of the data; when it was archived is no part of that. */
export const sameIndex = (a: ArchiveIndex, b: ArchiveIndex): boolean =>
  Buffer.from(encodeIndex({ ...a, archivedMillis: 0 })).equals(encodeIndex({ ...b, archivedMillis: 0 }));

const hex32 = (value: number): string => value.toString(16).padStart(8, '0');
