import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { type ResilienceStatus, resilience } from '@otel-resilience/node';
import type { PipelineName } from '../scenario.js';

export interface Pipeline {
  readonly sdk: NodeSDK;
  /** What the pipeline can say about itself; the stock one has nothing to say. */
  readonly status: (() => ResilienceStatus) | undefined;
}

const serviceName = 'outage-demo-shop';

/** The three that are compared. Stock ones get one URL, of collector A or of the balancer; ours gets both. */
export function createPipeline(name: PipelineName, urls: readonly string[]): Pipeline {
  if (name !== 'resilient') {
    const traceExporter = new OTLPTraceExporter({ url: urls[0]! });
    return { sdk: new NodeSDK({ serviceName, traceExporter }), status: undefined };
  }
  const [a, b] = urls as [string, string];
  const r = resilience({
    endpoints: [
      { name: 'A', url: a },
      { name: 'B', url: b },
    ],
    // The three are compared at the same rate: a busy host or full memory, both not ours, would lower this one's.
    degradation: { monitorOnly: true },
  });
  return { sdk: new NodeSDK({ serviceName, ...r.sdk }), status: () => r.status() };
}
