/** How one request is answered. Plain data, so that it can travel between processes. */
export type ReceiverAnswer = (
  | { readonly kind: 'success' }
  /** Takes all but the last `rejectedSpans` spans, and says so. A warning has 0 and a message; a lie may exceed them. */
  | { readonly kind: 'partialSuccess'; readonly rejectedSpans: number; readonly errorMessage?: string }
  | ErrorAnswer
  /** Reads the request and says nothing; the connection stays open. */
  | { readonly kind: 'never' }
  /** Reads the request and resets the connection instead of answering. */
  | { readonly kind: 'reset' }
) & {
  /** Waits before answering. Default 0. */
  readonly delayMillis?: number;
  /**
   * Whether the spans count as received. Default: true for `success` and `partialSuccess`, false for the others. True
   * with an error is the server that stores a request and fails to acknowledge it.
   */
  readonly received?: boolean;
  /** Closes the connection once the answer is written. Default false. */
  readonly thenClose?: boolean;
};

export interface ErrorAnswer {
  readonly kind: 'error';
  /** A gRPC status code (14 is UNAVAILABLE), or an HTTP status (503), as the receiver's protocol is. */
  readonly status: number;
  readonly message?: string;
  /**
   * Asks the client to wait, in milliseconds: over gRPC a `RetryInfo` in `grpc-status-details-bin`, over HTTP a
   * `Retry-After` in whole seconds, rounded up.
   */
  readonly retryAfterMillis?: number;
  /** Response headers, over gRPC trailing metadata; a key that ends in `-bin` takes base64 there. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What an answering function is told about the request. */
export interface RequestInfo {
  /** 0 for the receiver's first request. */
  readonly index: number;
  readonly spanCount: number;
  /** Of the decoded body, in bytes. */
  readonly byteLength: number;
  readonly headers: Readonly<Record<string, string>>;
}

export type Respond = ReceiverAnswer | ((request: RequestInfo) => ReceiverAnswer);

export const ANSWER_KINDS = ['success', 'partialSuccess', 'error', 'never', 'reset'] as const;

export const SUCCESS: ReceiverAnswer = { kind: 'success' };

/** How many of `spanCount` spans an answer leaves as received: the first ones. */
export function receivedCount(answer: ReceiverAnswer, spanCount: number): number {
  const { received = answer.kind === 'success' || answer.kind === 'partialSuccess' } = answer;
  if (!received) return 0;
  return answer.kind === 'partialSuccess' ? Math.max(0, spanCount - Math.max(0, answer.rejectedSpans)) : spanCount;
}
