import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Far more than any file read here has; a machine with thousands of mounts gets a part of its mount table. */
const MAX_BYTES = 1024 * 1024;
const CHUNK_BYTES = 8 * 1024;

// Not there, or gone while we looked: a cgroup that was removed answers ENODEV.
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENODEV']);

/**
 * `/proc` and `/sys` below a root directory. Read asynchronously: most of these files take microseconds, but the kernel
 * may collect statistics for milliseconds on behalf of whoever opens `memory.stat`.
 */
export class SystemFiles {
  private readonly rootDirectory: string;

  constructor(rootDirectory: string) {
    this.rootDirectory = rootDirectory;
  }

  /** The text of a file, or `undefined` when there is none. Rejects when it cannot be read. */
  async read(path: string): Promise<string | undefined> {
    try {
      return await readBounded(join(this.rootDirectory, path));
    } catch (error) {
      if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }
}

async function readBounded(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; size < MAX_BYTES; ) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead === 0) break;
      size += bytesRead;
      chunks.push(buffer.subarray(0, bytesRead));
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    await handle.close();
  }
}
