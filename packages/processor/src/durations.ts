/** The durations of late, in milliseconds: when there are more than `capacity`, newer ones take the place of older. */
export class Durations {
  private readonly capacity: number;
  private readonly ring: number[] = [];
  private added = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  add(millis: number): void {
    this.ring[this.added++ % this.capacity] = millis;
  }

  clear(): void {
    this.ring.length = 0;
    this.added = 0;
  }

  /** In no particular order. */
  get all(): readonly number[] {
    return this.ring;
  }
}

/** The 95th percentile by nearest rank; `NaN` of nothing. */
export function percentile95(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN;
}
