import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** What the simulation draws from: everything follows from the seed. */
export class Random {
  private traceIds = 0;
  private readonly generator: ReturnType<typeof xoroshiro128plus>;

  constructor(seed: number) {
    this.generator = xoroshiro128plus(Math.imul(seed, 0x9e3779b1));
    // The first numbers of neighbouring seeds resemble each other.
    for (let i = 0; i < 64; i++) this.generator.next();
  }

  /** In [0, 1), of 32 bits. */
  unit(): number {
    return (this.generator.next() >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** An integer from `min` to `max`, both inclusive. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1));
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean;
  }

  /** An index, by weight. */
  pick(weights: readonly number[]): number {
    let left = this.unit() * weights.reduce((sum, weight) => sum + weight, 0);
    for (let index = 0; index < weights.length; index++) {
      left -= weights[index]!;
      if (left < 0) return index;
    }
    return weights.length - 1;
  }

  hex32(): string {
    return (this.generator.next() >>> 0).toString(16).padStart(8, '0');
  }

  /** A trace id whose last 56 bits are random, as W3C's random flag promises. */
  traceId(): string {
    return (++this.traceIds).toString(16).padStart(16, '0') + this.hex32() + this.hex32();
  }
}
