import { webcrypto } from 'node:crypto';
import { crc32, gunzip, gzip } from 'node:zlib';
import { SpanBatch } from '@otel-resilience/core';
import type { ArchiveIndex } from './archive-index.js';
import type { ArchivePiece } from './archive-parts.js';
import { TraceIdFilter } from './trace-id-filter.js';

// As many bytes of a gzip stream as the thread pool hands back at a time: the default of 16 KiB is ten trips a batch.
const CHUNK_BYTES = 64 * 1024;
const ID_BYTES = 16;

export interface ArchiveObject {
  readonly index: ArchiveIndex;
  /** Compressed. */
  readonly data: Uint8Array;
}

/** Why data is not what it should be. */
export class DamagedArchiveError extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'DamagedArchiveError';
  }
}

/** Hashes and compresses a batch, both in the thread pool. Everything but `archivedMillis` follows from its bytes. */
export async function makeArchiveObject(
  { batch, traceIds }: ArchivePiece,
  level: number,
  archivedMillis: number,
): Promise<ArchiveObject> {
  const chunks = batch.otlp();
  const raw = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  const [id, data] = await Promise.all([idOf(raw), compress(raw, level)]);
  return { index: indexOf({ batch, traceIds }, { id, raw, data, archivedMillis }), data };
}

/**
 * The batch in a data object. Never makes more bytes than `maxRawBytes`, whatever the data does. Rejects with a
 * {@link DamagedArchiveError} unless the data is what was archived under this id.
 */
export async function openArchiveObject(
  data: Uint8Array,
  expected: { readonly id: string; readonly maxRawBytes: number },
): Promise<{ batch: SpanBatch; raw: Uint8Array }> {
  const raw = await decompress(data, expected.maxRawBytes);
  if ((await idOf(raw)) !== expected.id) throw new DamagedArchiveError('not the data that was archived under this id');
  try {
    return { batch: SpanBatch.fromBytes([raw]), raw };
  } catch (error) {
    throw new DamagedArchiveError(`no OTLP request: ${(error as Error).message}`);
  }
}

/** What the index of this data says. */
export function indexOf(
  { batch, traceIds }: ArchivePiece,
  { id, raw, data, archivedMillis }: { id: string; raw: Uint8Array; data: Uint8Array; archivedMillis: number },
): ArchiveIndex {
  const { startMillis, endMillis, services, lanes } = batch.summary;
  return {
    id,
    startMillis,
    endMillis,
    archivedMillis,
    spanCount: batch.spanCount,
    services,
    errorCount: lanes.errors,
    storedBytes: data.byteLength,
    rawBytes: raw.byteLength,
    crc32: crc32(data),
    traceIds: TraceIdFilter.of(traceIds),
  };
}

async function idOf(raw: Uint8Array): Promise<string> {
  const digest = await webcrypto.subtle.digest('SHA-256', raw);
  return Buffer.from(digest, 0, ID_BYTES).toString('hex');
}

function compress(raw: Uint8Array, level: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    gzip(raw, { level, chunkSize: CHUNK_BYTES }, (error, data) => (error ? reject(error) : resolve(data)));
  });
}

function decompress(data: Uint8Array, maxRawBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    gunzip(data, { chunkSize: CHUNK_BYTES, maxOutputLength: Math.max(1, maxRawBytes) }, (error, raw) => {
      if (!error) resolve(raw);
      else if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') {
        reject(new DamagedArchiveError(`more than the ${maxRawBytes} bytes that were declared`));
      } else reject(new DamagedArchiveError(`cannot be decompressed: ${error.message}`));
    });
  });
}
