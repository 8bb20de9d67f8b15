export type { OtlpAnswer, OtlpRequest, OtlpTransport } from './otlp-transport.js';
