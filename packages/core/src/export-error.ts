/** Why we, and not a server, ended an export. The code decides how {@link classifyFailure} reads it. */
export type ExportErrorCode = 'DEADLINE_EXCEEDED' | 'REFUSED' | 'SHUTDOWN';

/** An export that ended here: timed out, refused by a breaker, limiter or taken slot, or cut off by a shutdown. */
export class ExportError extends Error {
  readonly code: ExportErrorCode;

  constructor(code: ExportErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ExportError';
    this.code = code;
  }
}

/** Whether something has ended because its time was up, and for no other reason. By its code, whichever copy of this package made it. */
export function isTimeout(reason: unknown): boolean {
  return (reason as { code?: unknown } | null | undefined)?.code === 'DEADLINE_EXCEEDED';
}

/** Turns whatever was thrown into an `Error`, so that a failure always carries one. Never throws. */
export function toError(thrown: unknown, message = 'export failed'): Error {
  try {
    if (thrown instanceof Error) return thrown;
    if (isErrorLike(thrown)) return Object.assign(new Error(thrown.message), thrown);
    return new Error(thrown === undefined ? message : `${message}: ${String(thrown)}`, { cause: thrown });
  } catch {
    return new Error(message, { cause: thrown }); // a value without a string form, or one that throws when it is read
  }
}

// Errors of another realm (vm contexts, jest) are not `instanceof Error` here.
function isErrorLike(value: unknown): value is { message: string } {
  return typeof value === 'object' && value !== null && typeof (value as { message?: unknown }).message === 'string';
}
