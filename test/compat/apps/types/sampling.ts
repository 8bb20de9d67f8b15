/** Our sampler and tail sampling where the SDK's are expected, and the SDK's samplers, processors and resources in ours. */
import { defaultResource, type Resource } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { LevelSource, SpanProcessor } from '@otel-resilience/core';
import { CpuTrigger, DegradationController, type Trigger } from '@otel-resilience/degradation';
import { resilience } from '@otel-resilience/node';
import { AdaptiveBatchSpanProcessor, AttributeTrimmingSpanProcessor } from '@otel-resilience/processor';
import {
  type ComposableSampler,
  DegradationSampler,
  type Sampler,
  TailSamplingSpanProcessor,
} from '@otel-resilience/sampler';
import * as sdk from './sdk.js';

declare const theirSampler: sdk.Sampler;
declare const theirProcessor: sdk.SpanProcessor;
declare const theirExporter: sdk.SpanExporter;
declare const theirResource: Resource;
declare const composable: ComposableSampler;

// Theirs as ours
export const sampler: Sampler = theirSampler;
const backlog: Trigger = {
  name: 'backlog',
  thresholds: { light: 1, moderate: 2, heavy: 3, emergency: 4 },
  read: async () => undefined,
};
const controller = new DegradationController({ triggers: [new CpuTrigger(), backlog] });
export const level: LevelSource = controller;
export const delegates = [
  theirSampler,
  new sdk.AlwaysOnSampler(),
  new sdk.TraceIdRatioBasedSampler(0.5),
  new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() }),
  composable,
].map((delegate) => new DegradationSampler({ controller, delegate, resource: theirResource }));

// Ours as theirs
const ours = new DegradationSampler({ controller, resource: defaultResource() });
export const asTheirSampler: sdk.Sampler = ours;
export const root = new sdk.ParentBasedSampler({ root: ours });
export const inOurs = new DegradationSampler({ controller, delegate: root });

// Our processors around theirs, theirs around nothing of ours that they would not take
const batching = new AdaptiveBatchSpanProcessor({ exporter: theirExporter, controller });
const trimming = new AttributeTrimmingSpanProcessor({ next: batching, controller });
const tail = new TailSamplingSpanProcessor({ next: trimming, controller });
export const aroundStock: sdk.SpanProcessor[] = [
  tail,
  trimming,
  new TailSamplingSpanProcessor({ next: theirProcessor }),
  new TailSamplingSpanProcessor({ next: sdk.batched(theirExporter) }),
];
export const asOurProcessor: SpanProcessor = tail;

// In NodeSDK
const r = resilience({
  sampler: { delegate: theirSampler, resource: theirResource },
  degradation: { triggers: { cpu: { holdForMillis: 0 }, memory: false }, additionalTriggers: [backlog] },
});
r.degradation.on('transition', ({ from, to, cause }) => `${from} ${to} ${cause}`);
export const sdks = [
  new NodeSDK({ ...r.sdk }),
  new NodeSDK({ sampler: r.sdk.sampler, spanProcessors: [...r.sdk.spanProcessors, theirProcessor] }),
  new NodeSDK({ sampler: ours, spanProcessors: [tail], resource: defaultResource() }),
];

// What must not pass, so that it is known that something is checked
// @ts-expect-error: no sampler
new DegradationSampler({ delegate: { shouldSample: 1 } });
// @ts-expect-error: a processor is no sampler
export const wrong: sdk.Sampler = tail;
// @ts-expect-error: no such level
controller.force('mild');
// @ts-expect-error: no such section
resilience({ sampling: { ratio: 1 } });
