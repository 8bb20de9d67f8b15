import { type Environment, EnvironmentReader } from '@otel-resilience/core';
import { checkEndpointUrl, type Endpoint, type OtlpProtocol, readEndpointUrl, withoutSecrets } from './endpoint-url.js';
import { type Headers, headerProblem } from './headers.js';
import type { Compression } from './transport-options.js';

/** What `OTEL_EXPORTER_OTLP_TRACES_*` and `OTEL_EXPORTER_OTLP_*` ask for; the former come first. */
export interface OtlpEnvironment {
  readonly protocol: OtlpProtocol | undefined;
  /** As it is written there; for status and names. */
  readonly endpoint: string | undefined;
  /** The endpoint for a protocol: with a path added, and a scheme where gRPC may do without. */
  endpointFor(protocol: OtlpProtocol): Endpoint | undefined;
  /** Both variables together, name by name. */
  readonly headers: Headers;
  readonly compression: Compression | undefined;
  readonly timeoutMillis: number | undefined;
  /** Paths of PEM files. */
  readonly certificate: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientKey: string | undefined;
}

const GENERAL = 'OTEL_EXPORTER_OTLP_';
const TRACES = `${GENERAL}TRACES_`;
const SCHEME = /^(?:unix:|[a-z][a-z\d+.-]*:\/\/)/i;

/** Reads the environment of an OTLP exporter. Wrong values are logged and ignored, or throw: see {@link EnvironmentReader}. */
export function readOtlpEnvironment(env: Environment = process.env): OtlpEnvironment {
  const reader = new EnvironmentReader(env);
  const first = <T>(read: (name: string) => T | undefined, name: string) =>
    read(`${TRACES}${name}`) ?? read(`${GENERAL}${name}`);
  const text = (name: string) => first((full) => reader.text(full), name);
  const clientCertificate = text('CLIENT_CERTIFICATE');
  const clientKey = text('CLIENT_KEY');
  const isPair = (clientCertificate === undefined) === (clientKey === undefined);
  if (!isPair) {
    const [has, lacks] =
      clientKey === undefined ? ['CLIENT_CERTIFICATE', 'CLIENT_KEY'] : ['CLIENT_KEY', 'CLIENT_CERTIFICATE'];
    reader.ignore(`${GENERAL}${has}`, `${GENERAL}${lacks} beside it`, 'none');
  }
  return {
    protocol: first((name) => readProtocol(reader, name), 'PROTOCOL'),
    endpoint: text('ENDPOINT'),
    endpointFor: (protocol) => readEndpoint(reader, protocol, text('INSECURE')),
    headers: { ...readList(reader, `${GENERAL}HEADERS`), ...readList(reader, `${TRACES}HEADERS`) },
    compression: first((name) => reader.oneOf(name, ['none', 'gzip']), 'COMPRESSION'),
    timeoutMillis: first((name) => reader.integer(name, 1), 'TIMEOUT'),
    certificate: text('CERTIFICATE'),
    clientCertificate: isPair ? clientCertificate : undefined,
    clientKey: isPair ? clientKey : undefined,
  };
}

function readProtocol(reader: EnvironmentReader, name: string): OtlpProtocol | undefined {
  const protocol = reader.text(name);
  if (protocol === undefined || protocol === 'grpc' || protocol === 'http/protobuf') return protocol;
  reader.ignore(name, 'grpc or http/protobuf', protocol);
  // An HTTP receiver takes every encoding at the same address, so protobuf is what comes nearest.
  return protocol.startsWith('http/') ? 'http/protobuf' : undefined;
}

/**
 * OTLP: over HTTP `…_TRACES_ENDPOINT` is used as it is, and `/v1/traces` added to `…_ENDPOINT`; over gRPC one without a
 * scheme is secure, unless `…_INSECURE` is true.
 */
function readEndpoint(reader: EnvironmentReader, protocol: OtlpProtocol, insecure = 'false'): Endpoint | undefined {
  for (const prefix of [TRACES, GENERAL]) {
    const name = `${prefix}ENDPOINT`;
    const given = reader.text(name);
    if (given === undefined) continue;
    const lacksScheme = protocol === 'grpc' && !SCHEME.test(given);
    const url = lacksScheme ? `${insecure.toLowerCase() === 'true' ? 'http' : 'https'}://${given}` : given;
    try {
      return readEndpointUrl(checkEndpointUrl(url, name), protocol, prefix === TRACES ? 'asItIs' : 'added');
    } catch {
      reader.ignore(name, 'an http:// or https:// URL without credentials', withoutSecrets(given));
    }
  }
  return undefined;
}

/** `key1=value1,key2=value2`, percent-encoded as in W3C baggage. One that is wrong is left out; none is shown. */
function readList(reader: EnvironmentReader, variable: string): Headers {
  const headers: Record<string, string> = {};
  for (const [index, entry] of (reader.text(variable)?.split(',') ?? []).entries()) {
    if (entry.trim() === '') continue;
    const [name, value] = readEntry(entry);
    const problem = value === undefined ? { expected: 'key=value, percent-encoded' } : headerProblem(name, value);
    if (problem) reader.ignore(`${variable}, entry ${index + 1}`, problem.expected, 'something else');
    else headers[name.toLowerCase()] = value!;
  }
  return headers;
}

function readEntry(entry: string): [name: string, value?: string] {
  const [name = '', ...value] = entry.split('=');
  try {
    return value.length === 0 ? [''] : [decodeURIComponent(name.trim()), decodeURIComponent(value.join('=').trim())];
  } catch {
    return [''];
  }
}
