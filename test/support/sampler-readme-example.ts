import { SpanKind } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { DegradationSampler } from '@otel-resilience/sampler';

// Anything with a level: a DegradationController, or as here what you set yourself.
export const controller: { level: 'normal' | 'light' | 'moderate' | 'heavy' | 'emergency' } = { level: 'normal' };

export const sampler = new DegradationSampler({
  controller,
  serviceName: 'shop',
  rules: [
    { route: '/health*', ratio: 0.001, keepErrors: false },
    { route: '/checkout/*', kind: 'server', ratio: 1 },
    { attributes: { 'customer.tier': ['trial', 'internal'] }, ratio: 0.05 },
  ],
  ratio: 0.5, // of all other roots; remote parents are followed
  criticalRoutes: ['/checkout/*'], // not thinned through `moderate`
});

export const tracer = new BasicTracerProvider({ sampler }).getTracer('shop');

controller.level = 'moderate'; // × 0.1 from the next root on, but not for /checkout
const attributes = { 'url.path': '/checkout/pay' };
const span = tracer.startSpan('POST /checkout/pay', { kind: SpanKind.SERVER, attributes });
console.log(span.spanContext().traceState?.serialize()); // ot=th:0
span.end();
