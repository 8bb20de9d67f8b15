import type { Readable } from 'node:stream';
import { ObjectStoreError } from '../object-store/object-store-error.js';

export interface ReadBodyOptions {
  readonly contentLength: number | undefined;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** All of a body, and never more than was declared: neither what its header promises nor what then comes. */
export async function readBody(
  body: Readable,
  { contentLength, maxBytes, signal }: ReadBodyOptions,
): Promise<Uint8Array> {
  const onAbort = () => body.destroy(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    if ((contentLength ?? 0) > maxBytes) throw tooLarge(contentLength!, maxBytes);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw tooLarge(bytes, maxBytes);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, bytes);
  } finally {
    signal.removeEventListener('abort', onAbort);
    body.destroy();
  }
}

const tooLarge = (bytes: number, maxBytes: number) =>
  new ObjectStoreError('TOO_LARGE', `${bytes} bytes, where ${maxBytes} were declared`);
