import type { SpanProcessor } from '@otel-resilience/core';

/**
 * The processor, and whatever has to stop with it, once it has been shut down: NodeSDK knows of its processors only.
 */
export function stoppingWith(processor: SpanProcessor, stop: () => void): SpanProcessor {
  let stopped: Promise<void> | undefined;
  const { onEnding } = processor;
  return {
    onStart: (span, parentContext) => processor.onStart(span, parentContext),
    ...(onEnding && { onEnding: (span: object) => onEnding.call(processor, span) }),
    onEnd: (span) => processor.onEnd(span),
    forceFlush: () => processor.forceFlush(),
    shutdown: () => {
      stopped ??= shutDown(processor).finally(stop);
      return stopped;
    },
  };
}

/** Never throws synchronously. */
async function shutDown(processor: SpanProcessor): Promise<void> {
  await processor.shutdown();
}
