import { Buffer } from 'node:buffer';

const SMALLEST = 4_096;

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
    const { bytes, position } = this;
    this.replace(Math.max(needed, bytes.length * 2));
    bytes.copy(this.bytes, 0, 0, position);
  }

  /** Empties it. What one large batch has made large is not kept for the small ones after it. */
  reset(): void {
    const used = this.position;
    this.position = 0;
    if (this.bytes.length > 16 * SMALLEST && used < this.bytes.length / 4) this.replace(this.bytes.length >>> 1);
  }

  private replace(capacity: number): void {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.view = viewOf(this.bytes);
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
