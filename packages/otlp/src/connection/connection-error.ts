import { withReason } from '../wrong-port.js';

/**
 * No connection: what its cause said, where it was to go, and what is perhaps the reason. `code` is the cause's, such as
 * `ECONNREFUSED`.
 */
export class ConnectionError extends Error {
  readonly code: string;

  constructor(place: string, cause: unknown, reason = '') {
    const { code, message } = describe(cause);
    super(withReason(`cannot connect to ${place}: ${message}`, reason), { cause });
    this.name = 'ConnectionError';
    this.code = code;
  }
}

/** When all of a name's addresses fail, Node's AggregateError has a code and no message; OpenSSL's are full of paths. */
function describe(cause: unknown): { code: string; message: string } {
  const { code, message, errors, library, reason } = cause as {
    readonly [property: string]: unknown;
    readonly errors?: readonly unknown[];
  };
  const parts = Array.isArray(errors) ? errors.map((part) => describe(part).message).join('; ') : '';
  if (typeof library === 'string' && typeof code === 'string') return { code, message: `TLS: ${reason}` };
  const shown = typeof code === 'string' ? code : 'ECONNFAILED';
  return { code: shown, message: (typeof message === 'string' && message) || parts || shown };
}
