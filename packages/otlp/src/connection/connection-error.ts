/** No connection: what its cause said, and where it was to go. `code` is the cause's, such as `ECONNREFUSED`. */
export class ConnectionError extends Error {
  readonly code: string;

  constructor(place: string, cause: unknown) {
    const { code, message } = describe(cause);
    super(`cannot connect to ${place}: ${message}`, { cause });
    this.name = 'ConnectionError';
    this.code = code;
  }
}

/** When all of a name's addresses fail, Node's AggregateError has a code and no message. */
function describe(cause: unknown): { code: string; message: string } {
  const { code, message, errors } = cause as { code?: unknown; message?: unknown; errors?: readonly unknown[] };
  const parts = Array.isArray(errors) ? errors.map((part) => describe(part).message).join('; ') : '';
  const shown = typeof code === 'string' ? code : 'ECONNFAILED';
  return { code: shown, message: (typeof message === 'string' && message) || parts || shown };
}
