import {
  adaptSpanExporter,
  type Clock,
  EXPORT_FAILED,
  type ExportResult,
  type ReadableSpan,
  type SpanBatchExporter,
  type SpanExporter,
  systemClock,
  toError,
} from '@otel-resilience/core';
import { OtlpEnvironment, type OtlpProtocol, Secrets, secretsOfUrl } from '@otel-resilience/otlp';
import { RenewingExporter } from './renewing-exporter.js';

export interface StockExporterOptions {
  /** Undefined: the one that the environment names, which the stock exporters read themselves. */
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocol: OtlpProtocol;
  readonly clock: Clock | undefined;
}

// The stock OTLP exporters fail the 31st export that is open at a time.
const STOCK_CONCURRENCY_LIMIT = 30;
// Connections with other channel arguments share no subchannel; this many are never open at a time.
const USER_AGENTS = 64;

/** The exporter of OpenTelemetry JS itself, whose packages are loaded when there is something to export. */
export function stockExporter(options: StockExporterOptions): SpanBatchExporter {
  const { protocol, url, headers, clock = systemClock } = options;
  const environment = new OtlpEnvironment();
  const secrets = new Secrets(
    secretsOfUrl(url ?? environment.endpoint),
    Object.values(environment.headers),
    Object.values(headers),
  );
  const load = protocol === 'grpc' ? () => loadGrpc(options, clock) : () => loadHttp(options);
  return adaptSpanExporter(new LoadedExporter(load, secrets), { maxConcurrentExports: STOCK_CONCURRENCY_LIMIT, clock });
}

async function loadGrpc({ url, headers }: StockExporterOptions, clock: Clock): Promise<SpanExporter> {
  const [{ OTLPTraceExporter }, { createEmptyMetadata }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-grpc'),
    import('@opentelemetry/otlp-grpc-exporter-base'),
  ]);
  return new RenewingExporter((generation) => {
    const userAgent = `otel-resilience (${generation % USER_AGENTS})`;
    if (url === undefined) return new OTLPTraceExporter({ userAgent });
    const metadata = createEmptyMetadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new OTLPTraceExporter({ url, userAgent, metadata });
  }, clock);
}

async function loadHttp({ url, headers }: StockExporterOptions): Promise<SpanExporter> {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  if (url === undefined) return new OTLPTraceExporter() as SpanExporter;
  return new OTLPTraceExporter({ url, headers: { ...headers } }) as SpanExporter;
}

/**
 * An exporter that is loaded at its first export: its packages are optional, whoever sends by our own transport does
 * not need them, and grpc-js must not be there before the instrumentations are registered.
 */
class LoadedExporter implements SpanExporter {
  private readonly load: () => Promise<SpanExporter>;
  private readonly secrets: Secrets;
  private loading: Promise<SpanExporter> | undefined;
  private exporter: SpanExporter | undefined;

  constructor(load: () => Promise<SpanExporter>, secrets: Secrets) {
    this.load = load;
    this.secrets = secrets;
  }

  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void {
    const explained = ({ code, error }: ExportResult) =>
      resultCallback({ code, ...(error && { error: explain(this.secrets.maskError(error)) }) });
    if (this.exporter) this.exporter.export(spans, explained);
    else this.exportWhenLoaded(spans, explained);
  }

  async forceFlush(): Promise<void> {
    await this.exporter?.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    const exporter = await this.loading?.catch(() => undefined);
    await exporter?.shutdown();
  }

  private async exportWhenLoaded(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): Promise<void> {
    try {
      this.loading ??= this.load();
      this.exporter = await this.loading;
      this.exporter.export(spans, resultCallback);
    } catch (thrown) {
      if (!this.exporter) this.loading = undefined;
      resultCallback({ code: EXPORT_FAILED, error: toError(thrown) });
    }
  }
}

/** What the stock exporters say at a wrong port, and what is perhaps the reason. */
const AT_WRONG_PORT: readonly (readonly [RegExp, string])[] = [
  [/wrong version number/i, 'perhaps the port has no TLS: use http://'],
  [
    /No connection established\. Last error: Protocol error/,
    "perhaps the port is for OTLP over HTTP: set protocol: 'http/protobuf' (usually port 4318)",
  ],
  [/Parse Error: Expected HTTP\//, "perhaps the port is for gRPC: set protocol: 'grpc' (usually port 4317)"],
];

/** In front: what the exporters say may be too long to be shown as a whole. */
function explain(error: Error): Error {
  const [, reason] = AT_WRONG_PORT.find(([said]) => said.test(error.message)) ?? [];
  if (reason && !error.message.startsWith(reason)) Reflect.set(error, 'message', `${reason}; ${error.message}`);
  return error;
}
