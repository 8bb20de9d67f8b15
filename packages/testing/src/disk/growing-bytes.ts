/** Bytes that grow at their end, in amortised constant time. */
export class GrowingBytes {
  private buffer = new Uint8Array(0);
  private used = 0;

  static of(bytes: Uint8Array): GrowingBytes {
    const growing = new GrowingBytes();
    growing.write(bytes, 0);
    return growing;
  }

  get length(): number {
    return this.used;
  }

  /** Valid until the next change. */
  view(start = 0, end = this.used): Uint8Array {
    return this.buffer.subarray(start, Math.min(end, this.used));
  }

  /** `fill` says what stands in a gap behind the end; zeros by default. */
  write(bytes: Uint8Array, position: number, fill?: (gap: Uint8Array) => void): void {
    if (position + bytes.length > this.used) this.resize(position + bytes.length, fill);
    this.buffer.set(bytes, position);
  }

  resize(length: number, fill?: (gap: Uint8Array) => void): void {
    if (length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.buffer.length));
      larger.set(this.view());
      this.buffer = larger;
    }
    if (length > this.used) {
      const gap = this.buffer.subarray(this.used, length);
      gap.fill(0);
      fill?.(gap);
    }
    this.used = length;
  }
}
