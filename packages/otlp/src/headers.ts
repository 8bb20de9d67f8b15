import { ConfigurationError } from '@otel-resilience/core';

/** Names in lower case. Values are secrets more often than not: never logged, shown or made part of an error. */
export type Headers = Readonly<Record<string, string>>;

/** What an application may give for them: an object, a `Map`, `Headers`, or a list of pairs. */
export type HeadersInput = Headers | Iterable<readonly [name: string, value: string]>;

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

/** Reads {@link HeadersInput}: a copy, with names in lower case. Throws a `ConfigurationError` that shows no value. */
export function readHeaders(value: unknown, path: string): Headers {
  const entries = entriesOf(value);
  if (!entries) throw new ConfigurationError(path, 'an object of strings', kindOf(value));
  const headers: Record<string, string> = {};
  for (const [name, content] of entries) {
    const problem = headerProblem(name, content);
    if (problem) {
      const at = problem.name === undefined ? path : `${path}.${problem.name}`;
      throw new ConfigurationError(at, problem.expected, problem.got);
    }
    headers[name.toLowerCase()] = content as string;
  }
  return headers;
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Symbol.iterator in value) {
    const entries = [...(value as Iterable<unknown>)];
    return entries.every(isPair) ? entries : undefined;
  }
  const entries = Object.entries(value);
  // What a promise or a date has to say is not in its own properties.
  return entries.length > 0 || isPlain(value) ? entries : undefined;
}

const isPair = (entry: unknown): entry is readonly [string, unknown] =>
  Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string';

/** Of any realm. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** What it is, for a text may be a secret. */
function kindOf(value: unknown): unknown {
  if (typeof value === 'string') return 'a string';
  return typeof (value as { then?: unknown } | null)?.then === 'function' ? 'a promise' : value;
}
