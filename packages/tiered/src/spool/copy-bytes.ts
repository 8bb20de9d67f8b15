import type { OpenFile } from '@otel-resilience/core';
import { readFully } from './segment-reader.js';
import { writeFully } from './segment-writer.js';

const COPY_BYTES = 1024 * 1024;

/** The first so many bytes of a file; returns how many of them there were. */
export async function copyBytes(from: OpenFile, to: OpenFile, length: number): Promise<number> {
  let at = 0;
  for await (const bytes of blocks(from, length)) at = await writeFully(to, [bytes], at);
  return at;
}

/** Whether both files begin with the same bytes, so many of them. */
export async function areEqual(a: OpenFile, b: OpenFile, length: number): Promise<boolean> {
  let at = 0;
  for await (const bytes of blocks(a, length)) {
    if (!bytes.equals(await readFully(b, at, bytes.byteLength))) return false;
    at += bytes.byteLength;
  }
  return at === length;
}

/** Until the end, which may be sooner. */
async function* blocks(file: OpenFile, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; ) {
    const bytes = await readFully(file, at, Math.min(COPY_BYTES, length - at));
    if (bytes.byteLength === 0) return;
    yield bytes;
    at += bytes.byteLength;
  }
}
