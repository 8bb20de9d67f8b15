/** Integers below 2^32, without a number object for each of them, in memory that is reused. */
export class GrowingArray {
  length = 0;
  private values = new Uint32Array(256);

  get last(): number {
    return this.values[this.length - 1]!;
  }

  push(value: number): void {
    if (this.length === this.values.length) this.grow();
    this.values[this.length++] = value;
  }

  pop(): number {
    return this.values[--this.length]!;
  }

  /** A copy of all of them; none is left. */
  take(): Uint32Array {
    const copy = this.values.slice(0, this.length);
    this.length = 0;
    return copy;
  }

  private grow(): void {
    const { values } = this;
    this.values = new Uint32Array(values.length * 2);
    this.values.set(values);
  }
}
