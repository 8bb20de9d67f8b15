import { Buffer } from 'node:buffer';

const SMALLEST = 4_096;
/** So much is kept however little of it is used. */
const KEPT = 16 * SMALLEST;

/** Memory to write into, reused: it grows when it must, and shrinks when little of it has been used. */
export class WorkingBuffer {
  bytes: Buffer;
  view: DataView;
  /** Where the next byte goes. */
  position = 0;

  constructor(capacity: number = SMALLEST) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.view = viewOf(this.bytes);
  }

  /** What has been written, in memory of its own. */
  copy(): Uint8Array {
    return Uint8Array.from(this.bytes.subarray(0, this.position));
  }

  /** Makes it at least so large. */
  growTo(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.position);
    const view = viewOf(grown);
    // Only now: had any of this thrown, what has been written would still be there.
    this.bytes = grown;
    this.view = view;
  }

  /** Empties it. What one large batch, or one refused span, has made large is not kept for the small ones after it. */
  reset(): void {
    const used = this.position;
    this.position = 0;
    const { length } = this.bytes;
    if (length <= KEPT || used >= length / 4) return;
    // Half, since batches vary; but a far larger one comes from something that is not like them.
    const capacity = used < length / 16 ? Math.max(KEPT, 2 ** Math.ceil(Math.log2(used + 1))) : length >>> 1;
    const smaller = Buffer.allocUnsafeSlow(capacity);
    const view = viewOf(smaller);
    this.bytes = smaller;
    this.view = view;
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
