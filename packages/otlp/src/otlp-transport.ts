/** One OTLP export, ready for the wire. */
export interface OtlpRequest {
  /** The chunks of an `ExportTraceServiceRequest`, not compressed. Never written to. */
  readonly chunks: readonly Uint8Array[];
  readonly byteLength: number;
  /** Names in lower case. They come with every request; protocol headers are the transport's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** By the clock's `now()`: when the answer must be there, connecting included. */
  readonly deadline: number;
}

export interface OtlpAnswer {
  /** The bytes of an `ExportTraceServiceResponse`; empty when the server sent none, or what is none of ours to read. */
  readonly body: Uint8Array;
}

/**
 * Takes one request to one server and brings its answer, over connections that it keeps. No retries here.
 *
 * `send` resolves when the server has accepted the request. It rejects with an error that `classifyFailure` reads
 * rightly: an HTTP error has a numeric `code` and `retryAfter`, a gRPC error `code`, `details` and `metadata`; a
 * connection that failed has the code of its cause; our own deadline is an `ExportError('DEADLINE_EXCEEDED')`.
 *
 * An HTTP error has `details` too: what the server said, out of the `google.rpc.Status` of its body or out of plain
 * text or JSON, shortened to {@link MAX_DETAILS_LENGTH} characters, '' if it said nothing.
 */
export interface OtlpTransport {
  send(request: OtlpRequest): Promise<OtlpAnswer>;
  /** Closes every connection, now that nothing is open or the deadline has passed. Leaves no socket and no timer. */
  shutdown(): Promise<void>;
}

/** How much is kept of what a server says about a failure. */
export const MAX_DETAILS_LENGTH = 1_024;
