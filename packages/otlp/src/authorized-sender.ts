import type { OtlpProtocol } from './endpoint-url.js';
import type { HeaderSource } from './header-source.js';
import type { OtlpAnswer, OtlpRequest, OtlpTransport } from './otlp-transport.js';

const UNAUTHENTICATED: Readonly<Record<OtlpProtocol, number>> = { grpc: 16, 'http/protobuf': 401 };

/**
 * Sends requests with the headers of a {@link HeaderSource}. A server that no longer knows them is asked once more with
 * new ones, if there can be others: what it says then stands.
 */
export class AuthorizedSender {
  private readonly transport: OtlpTransport;
  private readonly headers: HeaderSource;
  private readonly refusal: number;

  constructor(transport: OtlpTransport, headers: HeaderSource, protocol: OtlpProtocol) {
    this.transport = transport;
    this.headers = headers;
    this.refusal = UNAUTHENTICATED[protocol];
  }

  async send(request: Omit<OtlpRequest, 'headers'>): Promise<OtlpAnswer> {
    const issued = await this.headers.current(request);
    try {
      return await this.transport.send({ ...request, headers: issued.values });
    } catch (error) {
      if (!this.headers.canRefresh || (error as { code?: unknown } | null)?.code !== this.refusal) throw error;
    }
    const others = await this.headers.otherThan(issued, request);
    return this.transport.send({ ...request, headers: others.values });
  }
}
