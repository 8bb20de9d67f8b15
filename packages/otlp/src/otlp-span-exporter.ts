import { GrpcTransport } from './grpc/grpc-transport.js';
import { HttpTransport } from './http/http-transport.js';
import type { OtlpSpanExporterOptions } from './options.js';
import { readSettings } from './settings.js';
import { TransportSpanExporter } from './transport-span-exporter.js';

/**
 * Sends spans to a receiver of OTLP, over gRPC or HTTP:
 *
 *     new OtlpSpanExporter({ url: 'https://collector:4317', compression: 'gzip' })
 *
 * | what comes back | the spans are |
 * |---|---|
 * | success | delivered |
 * | partial success | rejected as far as it says, the others delivered |
 * | "too large" (413, or words to that effect) | sent in halves; rejected where a single one is too large |
 * | 401, UNAUTHENTICATED | sent once more, if `headers` is a function; then `retryable`, for headers that are newer still |
 * | anything else, or nothing | what `classifyFailure` says; an answer that does not come is `retryable` |
 *
 * It tries again nothing else: that is for a `RetryingSpanExporter`, a spool or a failover around it. Nothing is
 * connected before the first export.
 *
 * Throws a `ConfigurationError` for a wrong option.
 */
export class OtlpSpanExporter extends TransportSpanExporter {
  constructor(options: OtlpSpanExporterOptions = {}) {
    const settings = readSettings('OtlpSpanExporter', options);
    const Transport = settings.protocol === 'grpc' ? GrpcTransport : HttpTransport;
    super(settings, new Transport(settings.transport));
  }
}
