import type { TraceAPI } from '@opentelemetry/api';
import type { NodeSDK } from '@opentelemetry/sdk-node';
import type { Resilience } from '@otel-resilience/node';

export function work(parts: { trace: TraceAPI; r: Resilience; sdk: NodeSDK }): Promise<void>;
