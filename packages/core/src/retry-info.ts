import { boundRetryAfter } from './retry-after.js';

// gRPC bounds all metadata of a response to 8 or 16 KiB by default.
const MAX_STATUS_BYTES = 65_536;
const RETRY_INFO = '/google.rpc.RetryInfo';

/**
 * The wait that the `google.rpc.RetryInfo` of a gRPC status asks for, in milliseconds, from 1 ms to 5 minutes, out of
 * the bytes of `grpc-status-details-bin`. A RetryInfo without a delay, or with a negative one, waits 1 ms: its
 * presence alone says that the call may be repeated. `undefined` when there is none, or the bytes are malformed.
 *
 *     Status    { int32 code = 1; string message = 2; repeated Any details = 3; }
 *     Any       { string type_url = 1; bytes value = 2; }
 *     RetryInfo { Duration retry_delay = 1; }
 *     Duration  { int64 seconds = 1; int32 nanos = 2; }
 */
export function readRetryInfo(status: Uint8Array): number | undefined {
  if (status.length > MAX_STATUS_BYTES) return undefined;
  try {
    for (const detail of fields(status)) {
      if (detail.number !== 3) continue;
      const any = lastFields(message(detail));
      if (text(any.get(1)).endsWith(RETRY_INFO)) return boundRetryAfter(delayMillis(message(any.get(2))));
    }
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
  }
  return undefined;
}

function delayMillis(retryInfo: Uint8Array): number {
  const duration = lastFields(message(lastFields(retryInfo).get(1)));
  const seconds = BigInt.asIntN(64, varint(duration.get(1)));
  const nanos = BigInt.asIntN(32, varint(duration.get(2)));
  return Number(seconds) * 1000 + Number(nanos) / 1e6;
}

class MalformedMessage extends Error {}

interface Field {
  readonly number: number;
  readonly value: bigint | Uint8Array;
}

/** The last occurrence of every field: what protobuf makes of a field that should occur once. */
function lastFields(bytes: Uint8Array): Map<number, Field> {
  const last = new Map<number, Field>();
  for (const field of fields(bytes)) last.set(field.number, field);
  return last;
}

function message(field: Field | undefined): Uint8Array {
  if (field === undefined) return new Uint8Array();
  if (typeof field.value === 'bigint') throw new MalformedMessage();
  return field.value;
}

const text = (field: Field | undefined): string => new TextDecoder().decode(message(field));

function varint(field: Field | undefined): bigint {
  if (field === undefined) return 0n;
  if (typeof field.value !== 'bigint') throw new MalformedMessage();
  return field.value;
}

function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;

  const readVarint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new MalformedMessage();
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new MalformedMessage();
  };
  const take = (length: number) => {
    if (length > bytes.length - at) throw new MalformedMessage();
    at += length;
    return bytes.subarray(at - length, at);
  };

  while (at < bytes.length) {
    const tag = Number(readVarint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, value: readVarint() };
        break;
      case 1:
        yield { number, value: take(8) };
        break;
      case 2:
        yield { number, value: take(Number(readVarint())) };
        break;
      case 5:
        yield { number, value: take(4) };
        break;
      default:
        throw new MalformedMessage();
    }
  }
}
