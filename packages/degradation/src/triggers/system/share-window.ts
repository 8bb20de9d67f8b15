/**
 * An average since the last read: what was used of what there was, added up sample by sample. Reading it again before
 * the next sample says the same again.
 */
export class ShareWindow {
  private used = 0;
  private capacity = 0;
  private last: number | undefined;

  /** Both since the sample before, in the same unit. */
  add(used: number, capacity: number): void {
    this.used += used;
    this.capacity += capacity;
  }

  /** 0 to 1 (or more, if more was used than there was); `undefined` before the first sample. */
  read(): number | undefined {
    if (this.capacity > 0) {
      this.last = this.used / this.capacity;
      this.used = 0;
      this.capacity = 0;
    }
    return this.last;
  }
}
