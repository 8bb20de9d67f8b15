/** What the scenarios use, under the names they use it by. */
exports.PACKAGES = {
  api: '@opentelemetry/api',
  sdkCore: '@opentelemetry/core',
  sdkNode: '@opentelemetry/sdk-node',
  sdkTrace: process.env.TRACE_SDK,
  grpcExporter: '@opentelemetry/exporter-trace-otlp-grpc',
  protoExporter: '@opentelemetry/exporter-trace-otlp-proto',
  http: '@opentelemetry/instrumentation-http',
  core: '@otel-resilience/core',
  degradation: '@otel-resilience/degradation',
  sampler: '@otel-resilience/sampler',
  exporter: '@otel-resilience/exporter',
  processor: '@otel-resilience/processor',
  tiered: '@otel-resilience/tiered',
  otlp: '@otel-resilience/otlp',
  node: '@otel-resilience/node',
};
