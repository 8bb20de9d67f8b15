/**
 * What the suite runs on: both majors of the SDK, each with a Node of its time. Versions are exact, so that a run of
 * today and one of next month test the same thing.
 */
export const MATRICES = {
  sdk2: {
    title: 'SDK 2.12, Node 20',
    node: '20',
    sdkNode: '0.223.0',
    api: '1.9',
    typesNode: '20.19.43',
    traceSdk: '@opentelemetry/sdk-trace-base@2.12.0',
    core: '2.12.0',
  },
  sdk3: {
    title: 'SDK 3.1, Node 24',
    node: '24',
    sdkNode: '0.301.0',
    api: '1.10',
    typesNode: '24.19.2',
    traceSdk: '@opentelemetry/sdk-trace@3.1.0',
    core: '3.1.0',
  },
};

/** What a stranger types; `tarballs` stands for `@otel-resilience/node`. */
export const strangerInstall = ({ sdkNode, api }, tarballs) => [
  ...tarballs,
  `@opentelemetry/sdk-node@${sdkNode}`,
  `@opentelemetry/api@${api}`,
];

/** What the scenarios import beside that. Versions are those that sdk-node pins, so nothing is there twice. */
export const scenarioInstall = ({ sdkNode, traceSdk, core, typesNode }) => [
  traceSdk,
  `@opentelemetry/core@${core}`,
  `@opentelemetry/exporter-trace-otlp-grpc@${sdkNode}`,
  `@opentelemetry/exporter-trace-otlp-proto@${sdkNode}`,
  `@opentelemetry/instrumentation-http@${sdkNode}`,
  'typescript@5.9.3',
  `@types/node@${typesNode}`,
];

/** The SDK's packages that we import too: one copy each, or npm has chosen another version for us than for the SDK. */
export const SHARED_WITH_THE_SDK = [
  '@opentelemetry/api',
  '@opentelemetry/core',
  '@opentelemetry/exporter-trace-otlp-grpc',
  '@opentelemetry/exporter-trace-otlp-proto',
  '@opentelemetry/otlp-exporter-base',
  '@opentelemetry/otlp-grpc-exporter-base',
  '@opentelemetry/otlp-transformer',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace',
];
