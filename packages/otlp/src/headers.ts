import { ConfigurationError } from '@otel-resilience/core';

/** Names in lower case. Values are secrets more often than not: never logged, shown or made part of an error. */
export type Headers = Readonly<Record<string, string>>;

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;

/** The transport's own: HTTP forbids some of them to an application, others say what the request is. */
const RESERVED: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);

export interface HeaderProblem {
  readonly expected: string;
  /** What came; never a value. */
  readonly got: string;
  /** The header whose value is wrong; `undefined` when it is the name. */
  readonly name?: string;
}

/** Why a header cannot be sent; `undefined` when it can. */
export function headerProblem(name: string, value: unknown): HeaderProblem | undefined {
  const lower = name.toLowerCase();
  if (!NAME.test(lower) || lower.endsWith('-bin')) return { expected: 'names of text headers', got: name };
  if (lower === 'user-agent') return { expected: 'no user-agent: there is an option userAgent', got: name };
  if (RESERVED.has(lower) || lower.startsWith('grpc-')) {
    return { expected: 'no headers of the protocol itself', got: name };
  }
  if (typeof value !== 'string') return { expected: 'a string', got: typeof value, name };
  if (VALUE.test(value)) return undefined;
  return { expected: 'printable ASCII', got: 'other characters, such as a line break at the end', name };
}

/** Reads an object of headers: a copy, with names in lower case. Throws a `ConfigurationError` that shows no value. */
export function readHeaders(value: unknown, path: string): Headers {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigurationError(path, 'an object of strings', typeof value === 'string' ? 'a string' : value);
  }
  const headers: Record<string, string> = {};
  for (const [name, content] of Object.entries(value)) {
    const problem = headerProblem(name, content);
    if (problem) {
      const at = problem.name === undefined ? path : `${path}.${problem.name}`;
      throw new ConfigurationError(at, problem.expected, problem.got);
    }
    headers[name.toLowerCase()] = content;
  }
  return headers;
}
