export interface CollectorSettings {
  /** The limit of the memory_limiter, in MiB. At 1 it refuses everything: a Collector is never that small. Default 512. */
  readonly memoryLimitMib?: number;
  /** The largest request that the OTLP receiver takes, in MiB. Default: the Collector's own, 4 for gRPC, 20 for HTTP. */
  readonly maxRequestMib?: number;
  /** Passes traces on to an OTLP/gRPC receiver (`host:port`), instead of writing them. */
  readonly forwardTo?: string;
  /** Paths of PEM files. With `client_ca_file` it asks clients for a certificate: mTLS. Default: no TLS. */
  readonly tls?: { readonly cert_file: string; readonly key_file: string; readonly client_ca_file?: string };
  /** Closes connections on which there is nothing for so long, such as `1s`: over gRPC with a GOAWAY. */
  readonly maxIdle?: string;
  /** gRPC: sends a GOAWAY on every connection of about that age, such as `300ms`. */
  readonly maxAge?: string;
}

/** The Collector's configuration, as JSON, which is YAML too. */
export function collectorConfig(
  [grpcPort, httpPort]: readonly [grpc: number, http: number],
  files: { readonly traces: string; readonly metrics: string },
  { memoryLimitMib = 512, maxRequestMib, forwardTo, tls, maxIdle, maxAge }: CollectorSettings,
): string {
  const config = {
    receivers: {
      otlp: {
        protocols: {
          grpc: {
            endpoint: `127.0.0.1:${grpcPort}`,
            tls,
            max_recv_msg_size_mib: maxRequestMib,
            keepalive: { server_parameters: { max_connection_idle: maxIdle, max_connection_age: maxAge } },
          },
          http: {
            endpoint: `127.0.0.1:${httpPort}`,
            tls,
            idle_timeout: maxIdle,
            max_request_body_size: maxRequestMib && maxRequestMib * 1024 * 1024,
          },
        },
      },
    },
    processors: { memory_limiter: { check_interval: '100ms', limit_mib: memoryLimitMib } },
    exporters: {
      debug: { verbosity: 'basic' },
      // With `rotation` the file exporter writes before it answers. Without, it buffers for a second, and what a killed
      // Collector has acknowledged may be lost.
      'file/traces': { path: files.traces, rotation: { max_megabytes: 1_024 } },
      'file/metrics': { path: files.metrics, rotation: { max_megabytes: 1_024 } },
      // No queue and no retries here or below: the Collector answers as its backend does, and acknowledges what has
      // been written.
      otlp_grpc: {
        endpoint: forwardTo ?? '127.0.0.1:1',
        tls: { insecure: true },
        sending_queue: { enabled: false },
        retry_on_failure: { enabled: false },
      },
    },
    service: {
      pipelines: {
        traces: pipeline(forwardTo === undefined ? 'file/traces' : 'otlp_grpc', 'debug'),
        metrics: pipeline('file/metrics'),
      },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'info' } },
    },
  };
  return JSON.stringify(config, undefined, 2);
}

const pipeline = (...exporters: string[]) => ({ receivers: ['otlp'], processors: ['memory_limiter'], exporters });
