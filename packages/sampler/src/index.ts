export { DegradationSampler, type SamplerStats } from './degradation-sampler.js';
export type { ComposableSampler, Sampler } from './delegate.js';
export type { DegradationSamplerOptions, KeepErrors, SamplingRule } from './sampler-options.js';
export type { SamplingResult } from './sampling-result.js';
export type { AttributePattern, Pattern, SpanKindName, SpanMatcher } from './span-matcher.js';
export type { KeepRule, TailSamplingSpanProcessorOptions } from './tail-sampling/options.js';
export { TailSamplingSpanProcessor } from './tail-sampling/tail-sampling-span-processor.js';
export type { TailSamplingStats } from './tail-sampling/tail-sampling-stats.js';
