/** Where spans are sent: the same for all commands that send some. */
export interface EndpointFlags {
  readonly endpoint: string;
  readonly protocol?: 'grpc' | 'http/protobuf';
  readonly header?: ReadonlyArray<readonly [name: string, value: string]>;
}

const header = (text: string): readonly [name: string, value: string] => {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(0, at)).trim();
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new Error('expected name=value');
  return [name, text.slice(at + 1).trim()];
};

const endpoint = (text: string): string => {
  if (!/^(https?:\/\/|unix:)/.test(text))
    throw new Error('expected an http:// or https:// URL, or unix:/path/to/socket');
  return text;
};

export const ENDPOINT_FLAGS = {
  endpoint: { kind: 'parsed', parse: endpoint, brief: 'Where the spans go', placeholder: 'URL' },
  protocol: {
    kind: 'enum',
    values: ['grpc', 'http/protobuf'],
    brief:
      'Default: OTEL_EXPORTER_OTLP_PROTOCOL, else http/protobuf for port 4318 or a path that ends in /v1/traces, otherwise grpc',
    optional: true,
  },
  header: {
    kind: 'parsed',
    parse: header,
    brief: 'Sent with every request, may be repeated; OTEL_EXPORTER_OTLP_HEADERS keeps it out of the list of processes',
    placeholder: 'name=value',
    variadic: true,
    optional: true,
  },
} as const;
