// OpenTelemetry: "TraceState: Probability Sampling". Randomness and thresholds have 56 bits.
const RANDOMNESS_BITS = 56;
const HEX_DIGITS = RANDOMNESS_BITS / 4;
const THRESHOLD = /^[0-9a-f]{1,14}$/;

/**
 * How many spans a received one stands for: 1 / its sampling probability, which its tracestate tells as the threshold
 * `ot=th:…`. `undefined` where it does not.
 */
export function adjustedCount(traceState: string): number | undefined {
  for (const member of traceState.split(',')) {
    const [key, value = ''] = member.trim().split('=');
    if (key !== 'ot') continue;
    const threshold = value.split(';').find((pair) => pair.startsWith('th:'));
    const digits = threshold?.slice('th:'.length) ?? '';
    if (!THRESHOLD.test(digits)) return undefined;
    const rejected = Number.parseInt(digits.padEnd(HEX_DIGITS, '0'), 16) / 2 ** RANDOMNESS_BITS;
    return 1 / (1 - rejected);
  }
  return undefined;
}
