import { type Environment, EnvironmentReader } from '@otel-resilience/core';
import {
  checkEndpointUrl,
  DEFAULT_URL,
  type Endpoint,
  type OtlpProtocol,
  readEndpointUrl,
  withoutSecrets,
} from './endpoint-url.js';
import { type Headers, headerProblem } from './headers.js';
import type { Compression } from './transport-options.js';

const GENERAL = 'OTEL_EXPORTER_OTLP_';
const TRACES = `${GENERAL}TRACES_`;
const SCHEME = /^(?:unix:|[a-z][a-z\d+.-]*:\/\/)/i;

/**
 * What `OTEL_EXPORTER_OTLP_TRACES_*` and `OTEL_EXPORTER_OTLP_*` ask for; the former come first. Each is read when it is
 * asked for, so that only who needs a variable complains of it. Wrong values are logged and ignored, or throw: see
 * {@link EnvironmentReader}.
 */
export class OtlpEnvironment {
  private readonly reader: EnvironmentReader;

  constructor(env: Environment = process.env) {
    this.reader = new EnvironmentReader(env);
  }

  get protocol(): OtlpProtocol | undefined {
    return first((name) => readProtocol(this.reader, name), 'PROTOCOL');
  }

  /** As it is written there; for status and names. */
  get endpoint(): string | undefined {
    return this.text('ENDPOINT');
  }

  /** That of a URL given in code; else of the environment, with a path added, and a scheme where gRPC may do without one; else the default. */
  endpointFor(protocol: OtlpProtocol, url?: string): Endpoint {
    if (url !== undefined) return readEndpointUrl(url, protocol);
    const named = readEndpoint(this.reader, protocol, this.text('INSECURE'));
    return named ?? readEndpointUrl(DEFAULT_URL[protocol], protocol);
  }

  /** Of both variables together, name by name. */
  get headers(): Headers {
    return { ...readList(this.reader, `${GENERAL}HEADERS`), ...readList(this.reader, `${TRACES}HEADERS`) };
  }

  get compression(): Compression | undefined {
    return first((name) => this.reader.oneOf(name, ['none', 'gzip']), 'COMPRESSION');
  }

  get timeoutMillis(): number | undefined {
    return first((name) => this.reader.integer(name, 1), 'TIMEOUT');
  }

  /** The path of a PEM file. */
  get certificate(): string | undefined {
    return this.text('CERTIFICATE');
  }

  /** The paths of two PEM files. One without the other is of no use. */
  get clientCertificate(): { readonly cert: string; readonly key: string } | undefined {
    const cert = this.text('CLIENT_CERTIFICATE');
    const key = this.text('CLIENT_KEY');
    if (cert !== undefined && key !== undefined) return { cert, key };
    const [has, lacks] =
      cert === undefined ? ['CLIENT_KEY', 'CLIENT_CERTIFICATE'] : ['CLIENT_CERTIFICATE', 'CLIENT_KEY'];
    if (cert ?? key) this.reader.ignore(`${GENERAL}${has}`, `${GENERAL}${lacks} beside it`, 'none');
    return undefined;
  }

  private text(name: string): string | undefined {
    return first((full) => this.reader.text(full), name);
  }
}

const first = <T>(read: (name: string) => T | undefined, name: string): T | undefined =>
  read(`${TRACES}${name}`) ?? read(`${GENERAL}${name}`);

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
