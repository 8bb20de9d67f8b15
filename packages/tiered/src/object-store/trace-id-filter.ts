import { mix } from '../mix.js';

/**
 * A Bloom filter over trace ids: says `false` of those that are certainly not there, and `true` of one in 120 others
 * (10 bits and 7 hashes for each id: 0.82 %).
 *
 * The hashes are made of the id's 32 lowercase hexadecimal digits: read as four words, each mixed by the finalizer of
 * MurmurHash3, so that ids which are not random, such as those that begin with a time, are spread as well.
 */
export class TraceIdFilter {
  static readonly falsePositiveRate = 0.0082;
  readonly bits: Uint8Array;
  readonly hashes: number;

  constructor(bits: Uint8Array, hashes: number) {
    this.bits = bits;
    this.hashes = hashes;
  }

  static of(traceIds: ReadonlySet<string>): TraceIdFilter {
    const filter = new TraceIdFilter(new Uint8Array(Math.max(1, Math.ceil((traceIds.size * BITS_PER_ID) / 8))), HASHES);
    for (const id of traceIds) for (const bit of filter.bitsOf(id)) filter.bits[bit >>> 3]! |= 1 << (bit & 7);
    return filter;
  }

  mayContain(traceId: string): boolean {
    return this.bitsOf(traceId).every((bit) => (this.bits[bit >>> 3]! & (1 << (bit & 7))) !== 0);
  }

  /** Two hashes make all the others (Kirsch and Mitzenmacher, 2006). */
  private bitsOf(traceId: string): number[] {
    const [a, b] = hashPair(traceId);
    const size = this.bits.byteLength * 8;
    // Odd, so that it is never 0: all bits would be one.
    const step = b | 1;
    return Array.from({ length: this.hashes }, (_, index) => ((a + Math.imul(index, step)) >>> 0) % size);
  }
}

const BITS_PER_ID = 10;
const HASHES = 7;

function hashPair(traceId: string): [number, number] {
  let a = 0x9e37_79b9;
  let b = 0x85eb_ca6b;
  for (let at = 0; at < traceId.length; at += 8) {
    // An id that is not hexadecimal is none that OTLP has; it only has to be the same each time.
    const word = Number.parseInt(traceId.slice(at, at + 8), 16) | 0;
    a = mix(a ^ word);
    b = mix(Math.imul(b, 0x0100_0193) ^ a ^ word);
  }
  return [a, b];
}
