import { CallScope, orAborted } from '../call-scope.js';
import { gzip } from '../gzip.js';
import type { OtlpAnswer, OtlpRequest, OtlpTransport } from '../otlp-transport.js';
import type { TransportOptions } from '../transport-options.js';
import { messagePrefix, readMessage } from './message-frame.js';
import { SessionPool } from './session-pool.js';
import { unaryCall } from './unary-call.js';

const METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/**
 * OTLP/gRPC over `node:http2`, for requests that are encoded already.
 *
 * One `send` is one call. It is repeated at once, and once, when the server has certainly not processed it (REFUSED_STREAM,
 * or GOAWAY with a lower stream id), or when the connection broke before a byte came back: OTLP allows to repeat after a
 * disconnect, and the other end may have been closing it just then.
 */
export class GrpcTransport implements OtlpTransport {
  private readonly options: TransportOptions;
  private readonly pool: SessionPool;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(options: TransportOptions) {
    this.options = options;
    this.pool = new SessionPool(options);
    this.headers = {
      ':method': 'POST',
      ':scheme': options.secure ? 'https' : 'http',
      ':authority': options.authority,
      ':path': options.path + METHOD,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': options.userAgent,
      'grpc-accept-encoding': 'identity,gzip',
      ...(options.compression === 'gzip' && { 'grpc-encoding': 'gzip' }),
    };
  }

  async send(request: OtlpRequest): Promise<OtlpAnswer> {
    const scope = new CallScope(request, this.options.clock);
    try {
      return await this.call(request, await this.encode(request, scope), scope);
    } finally {
      scope.close();
    }
  }

  shutdown(): Promise<void> {
    return this.pool.shutdown();
  }

  private async encode({ chunks, byteLength }: OtlpRequest, scope: CallScope): Promise<readonly Uint8Array[]> {
    scope.signal.throwIfAborted();
    if (this.options.compression === 'none') return [messagePrefix(byteLength, false), ...chunks];
    this.pool.throwIfBackingOff();
    const compressed = await orAborted(gzip(chunks, this.options.gzipLevel), scope.signal);
    return [messagePrefix(compressed.byteLength, true), compressed];
  }

  private async call(request: OtlpRequest, chunks: readonly Uint8Array[], scope: CallScope): Promise<OtlpAnswer> {
    const { maxResponseBytes } = this.options;
    for (let repeated = false; ; repeated = true) {
      const session = await this.pool.acquire(scope);
      const headers = { ...request.headers, ...this.headers, 'grpc-timeout': `${scope.remainingMillis}m` };
      const result = await unaryCall(session, { headers, chunks, maxResponseBytes }, scope);
      if (result.kind === 'accepted')
        return { body: await readMessage(result.body, result.encoding, maxResponseBytes) };
      if (repeated || !result.unprocessed || scope.signal.aborted) throw result.error;
    }
  }
}
