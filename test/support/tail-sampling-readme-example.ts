import { BasicTracerProvider, BatchSpanProcessor, ConsoleSpanExporter } from '@opentelemetry/sdk-trace-base';
import { DegradationSampler, TailSamplingSpanProcessor } from '@otel-resilience/sampler';

const controller = { level: 'heavy' } as const;
const tail = new TailSamplingSpanProcessor({
  controller,
  next: new BatchSpanProcessor(new ConsoleSpanExporter()),
  slowThresholdMillis: 500,
  keepRules: [{ route: '/checkout/*', attributes: { 'http.response.status_code': [402, 409] } }],
});
export const provider = new BasicTracerProvider({
  sampler: new DegradationSampler({ controller }),
  spanProcessors: [tail],
});
