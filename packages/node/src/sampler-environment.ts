import type { DegradationSamplerOptions } from '@otel-resilience/sampler';

/** What `OTEL_TRACES_SAMPLER` may ask for; other names belong to samplers that we do not have. */
export const SAMPLER_NAMES = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

export type SamplerName = (typeof SAMPLER_NAMES)[number];

/**
 * The sampler that the environment names, as options of ours: what follows the parent does so by itself and gets the
 * ratio of its roots; what does not is a delegate.
 *
 * Ratios are kept consistent and countable: a trace is chosen by its threshold, not by the SDK's own formula, which no
 * other language shares.
 */
export function samplerOptions(name: SamplerName | undefined, ratio: number): DegradationSamplerOptions {
  switch (name) {
    case undefined:
    case 'parentbased_always_on':
      return {};
    case 'parentbased_traceidratio':
      return { ratio };
    case 'parentbased_always_off':
      return { ratio: 0, keepErrors: 'off' };
    case 'always_on':
      return { delegate: constant('AlwaysOnSampler', 1) };
    case 'always_off':
      return { delegate: constant('AlwaysOffSampler', 0), keepErrors: 'off' };
    case 'traceidratio':
      return { delegate: constant(`ConsistentRatioSampler{${ratio}}`, ratio) };
  }
}

// R, the randomness of a trace, has 56 bits; it is kept if R is not below the threshold.
const RANDOM_VALUES = 2 ** 56;
const NEVER = -1n;

/** The same ratio for every span that has no local parent, whatever a remote parent says. */
function constant(description: string, ratio: number): NonNullable<DegradationSamplerOptions['delegate']> {
  const threshold = ratio === 0 ? NEVER : BigInt(Math.round((1 - ratio) * RANDOM_VALUES));
  return {
    getSamplingIntent: () => ({ threshold, thresholdReliable: true }),
    toString: () => description,
  };
}
