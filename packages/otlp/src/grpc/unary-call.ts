import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { CallScope } from '../call-scope.js';
import { GRPC, GrpcError, httpError, resetError, statusError } from './grpc-error.js';
import type { GrpcSession } from './grpc-session.js';

export interface UnaryRequest {
  readonly headers: OutgoingHttpHeaders;
  /** The message with its prefix. */
  readonly chunks: readonly Uint8Array[];
  /** How much of the response's body is kept; more than {@link DRAIN_FACTOR} times this ends the call. */
  readonly maxResponseBytes: number;
}

export type CallResult =
  /** `grpc-status: 0`, with what came of the body. */
  | { readonly kind: 'accepted'; readonly body: readonly Buffer[]; readonly encoding: string | undefined }
  /** `unprocessed`: the server has certainly not processed it, or the connection broke before a byte came back. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly unprocessed: boolean };

/** Makes one call, in the place that was taken for it by `beginCall`. Resolves, never rejects, by the end of `scope`. */
export function unaryCall(session: GrpcSession, request: UnaryRequest, scope: CallScope): Promise<CallResult> {
  return new Promise((resolve) => {
    new UnaryCall(session, request.maxResponseBytes, scope, resolve).start(request);
  });
}

type Headers = IncomingHttpHeaders & IncomingHttpStatusHeader;

const DRAIN_FACTOR = 16;

/** Keeps nothing of what it sends: node keeps the stream, and so its listeners, until the whole heap is collected. */
class UnaryCall {
  private readonly session: GrpcSession;
  private readonly maxResponseBytes: number;
  private readonly scope: CallScope;
  private readonly resolve: (result: CallResult) => void;
  private readonly bytesBefore: number;
  private stream: ClientHttp2Stream | undefined;
  private streamError: Error | undefined;
  private encoding: string | undefined;
  private ok = false;
  /** The server has begun to answer. */
  private responded = false;
  /** The server has sent the last of its answer. */
  private ended = false;
  private body: Buffer[] = [];
  private bodyBytes = 0;
  private settled = false;

  constructor(session: GrpcSession, maxResponseBytes: number, scope: CallScope, resolve: (result: CallResult) => void) {
    this.session = session;
    this.maxResponseBytes = maxResponseBytes;
    this.scope = scope;
    this.resolve = resolve;
    this.bytesBefore = session.bytesRead;
  }

  start({ headers, chunks }: UnaryRequest): void {
    const { scope, session } = this;
    if (scope.signal.aborted) {
      this.fail(scope.signal.reason);
      return;
    }
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(headers);
    } catch (error) {
      this.fail(error, true); // the session has ended in this very moment
      return;
    }
    this.stream = stream;
    stream.on('response', this.onResponse);
    stream.on('trailers', this.onTrailers);
    stream.on('data', this.onData);
    stream.on('end', this.onEnd);
    stream.on('error', this.onError);
    stream.on('close', this.onClose);
    scope.signal.addEventListener('abort', this.onAbort);
    write(stream, chunks);
  }

  private readonly onResponse = (headers: Headers, flags: number): void => {
    this.responded = true;
    this.encoding = headers['grpc-encoding'] as string | undefined;
    this.ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (headers['grpc-status'] !== undefined) {
      this.takeStatus(headers); // gRPC: "Trailers-Only"
      return;
    }
    const isGrpc = headers[':status'] === 200 && String(headers['content-type']).startsWith('application/grpc');
    if (!isGrpc) this.fail(httpError(headers));
  };

  private readonly onTrailers = (headers: IncomingHttpHeaders): void => {
    this.ended = true;
    if (headers['grpc-status'] !== undefined) this.takeStatus(headers);
  };

  private takeStatus(headers: IncomingHttpHeaders): void {
    const error = statusError(headers);
    if (error) this.fail(error);
    else this.ok = true;
  }

  private readonly onData = (chunk: Buffer): void => {
    const { maxResponseBytes } = this;
    this.bodyBytes += chunk.byteLength;
    if (this.bodyBytes <= maxResponseBytes) this.body.push(chunk);
    // The rest is let go by, since the status still counts; but not for ever.
    if (this.bodyBytes > maxResponseBytes * DRAIN_FACTOR) {
      this.fail(new GrpcError({ code: GRPC.UNAVAILABLE, details: `an answer of more than ${this.bodyBytes} bytes` }));
    }
  };

  /** The whole answer has been read. The stream may be open: when the server did not wait for the whole request. */
  private readonly onEnd = (): void => {
    if (this.ok) this.accept();
  };

  private readonly onError = (error: Error): void => {
    this.streamError = error;
  };

  /** Always comes, and last. */
  private readonly onClose = (): void => {
    if (this.settled) return;
    if (this.ok) this.accept();
    else this.settle(this.brokenOff(this.stream!));
  };

  private readonly onAbort = (): void => {
    if (this.ok) {
      this.accept(); // the server has said so, though not yet all it had to say
      return;
    }
    this.fail(this.scope.signal.reason);
    if (this.scope.expired) this.session.onTimeout(this.bytesBefore);
  };

  private accept(): void {
    this.settle({ kind: 'accepted', body: this.body, encoding: this.encoding });
  }

  private fail(error: unknown, unprocessed = false): void {
    this.settle({ kind: 'failed', error, unprocessed });
  }

  private brokenOff(stream: ClientHttp2Stream): CallResult {
    const { session, responded, streamError } = this;
    const code = stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
    const refused = code === constants.NGHTTP2_REFUSED_STREAM || session.neverProcessed(stream);
    const lost = session.causeOfEnd(stream, streamError);
    if (lost) {
      // The other side closes connections now and then, also in the moment in which one is used.
      const silent = session.bytesRead === this.bytesBefore;
      return { kind: 'failed', error: lost, unprocessed: refused || silent };
    }
    const error =
      code === constants.NGHTTP2_NO_ERROR && responded
        ? new GrpcError({ code: GRPC.UNAVAILABLE, details: 'the answer ended without a grpc-status' })
        : resetError(code);
    return { kind: 'failed', error, unprocessed: refused };
  }

  private settle(result: CallResult): void {
    if (this.settled) return;
    this.settled = true;
    const { stream, scope } = this;
    scope.signal.removeEventListener('abort', this.onAbort);
    if (stream && !stream.destroyed && !(this.ended && stream.writableFinished)) {
      stream.close(constants.NGHTTP2_CANCEL);
      stream.destroy();
    }
    this.session.endCall({ answered: this.responded });
    this.resolve(result);
  }
}

function write(stream: ClientHttp2Stream, chunks: readonly Uint8Array[]): void {
  stream.cork(); // one write to the session
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  stream.uncork();
}
