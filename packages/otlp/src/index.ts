export { checkEndpointUrl, type Endpoint, type OtlpProtocol, protocolOf } from './endpoint-url.js';
export { OtlpEnvironment } from './environment.js';
export type { HeadersFunction } from './header-source.js';
export type { Headers, HeadersInput } from './headers.js';
export { OTLP_ENDPOINT_SCHEMA, type OtlpSpanExporterOptions, type OtlpTlsOptions, type PemOrFile } from './options.js';
export { OtlpSpanExporter } from './otlp-span-exporter.js';
export { Secrets, secretsOfUrl } from './secrets.js';
export type { Compression, Target } from './transport-options.js';
