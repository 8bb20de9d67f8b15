/** Thresholds as a backend reads them, with none of the sampler's code. */
const TH = /(?:^|;)th:([0-9a-f]{1,14})(?:;|$)/;
const probabilities = new Map<string, number>();

export function thresholdIn(ot: string | undefined): string | undefined {
  return ot === undefined ? undefined : TH.exec(ot)?.[1];
}

export function probabilityOf(th: string): number {
  let probability = probabilities.get(th);
  if (probability === undefined) {
    probability = Number((1n << 56n) - BigInt(`0x${th.padEnd(14, '0')}`)) / 2 ** 56;
    probabilities.set(th, probability);
  }
  return probability;
}
