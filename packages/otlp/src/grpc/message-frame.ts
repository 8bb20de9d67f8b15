import { constants, gunzip } from 'node:zlib';

/** gRPC: "Length-Prefixed-Message → Compressed-Flag Message-Length Message", with one byte and four, big-endian. */
const PREFIX_BYTES = 5;

/** What goes before a message on the wire. */
export function messagePrefix(byteLength: number, compressed: boolean): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES);
  prefix[0] = compressed ? 1 : 0;
  new DataView(prefix.buffer).setUint32(1, byteLength);
  return prefix;
}

/**
 * The first message of a response's body, decompressed: empty when there is none, when it is not whole, compressed in a
 * way that we did not offer, or larger than `maxBytes` then. Nothing of this is an error: `grpc-status: 0` has said that the
 * request is accepted, and sending it again could only make duplicates.
 */
export async function readMessage(
  chunks: readonly Buffer[],
  encoding: string | undefined,
  maxBytes: number,
): Promise<Uint8Array> {
  const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  if (body.byteLength < PREFIX_BYTES) return NOTHING;
  const length = body.readUInt32BE(1);
  if (length > body.byteLength - PREFIX_BYTES) return NOTHING;
  const message = body.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
  if (body[0] === 0) return message;
  return body[0] === 1 && encoding === 'gzip' ? decompress(message, maxBytes) : NOTHING;
}

const NOTHING = new Uint8Array();

function decompress(message: Buffer, maxOutputLength: number): Promise<Uint8Array> {
  return new Promise((resolve) => {
    gunzip(message, { maxOutputLength, finishFlush: constants.Z_FINISH }, (error, bytes) => {
      resolve(error ? NOTHING : bytes);
    });
  });
}
