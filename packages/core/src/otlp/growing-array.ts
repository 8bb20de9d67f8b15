/** Integers below 2^32, without a number object for each of them, in memory that is reused. */
export class GrowingArray {
  length = 0;
  /** The first `length` are there. */
  values: Uint32Array = new Uint32Array(256);

  get last(): number {
    return this.values[this.length - 1]!;
  }

  /** Makes room for one more at `values[length]`. */
  reserve(): void {
    if (this.length === this.values.length) this.grow();
  }

  pop(): number {
    return this.values[--this.length]!;
  }

  copy(): Uint32Array {
    return this.values.slice(0, this.length);
  }

  private grow(): void {
    const { values } = this;
    this.values = new Uint32Array(values.length * 2);
    this.values.set(values);
  }
}
