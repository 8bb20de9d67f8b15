import type { OtlpProtocol } from './endpoint-url.js';
import type { HeaderSource, IssuedHeaders } from './header-source.js';
import type { OtlpAnswer, OtlpRequest, OtlpTransport } from './otlp-transport.js';
import { Secrets, secretsOfUrl } from './secrets.js';
import type { TransportOptions } from './transport-options.js';

const UNAUTHENTICATED: Readonly<Record<OtlpProtocol, number>> = { grpc: 16, 'http/protobuf': 401 };

/** What is sent along, beside the headers, that a server may repeat. */
type Credentials = Pick<TransportOptions, 'path' | 'proxy'>;

/** An answer, and what must not be shown of it. */
export interface AuthorizedAnswer extends OtlpAnswer {
  readonly secrets: Secrets;
}

/**
 * Sends requests with the headers of a {@link HeaderSource}. A server that no longer knows them is asked once more with
 * new ones, if there can be others: what it says then stands. What it rejects with repeats nothing that was sent.
 */
export class AuthorizedSender {
  private readonly transport: OtlpTransport;
  private readonly headers: HeaderSource;
  private readonly refusal: number;
  private readonly credentials: readonly string[];

  constructor(transport: OtlpTransport, headers: HeaderSource, protocol: OtlpProtocol, credentials: Credentials) {
    this.transport = transport;
    this.headers = headers;
    this.refusal = UNAUTHENTICATED[protocol];
    const { path, proxy } = credentials;
    this.credentials = [...secretsOfUrl(path), ...(proxy?.authorization ? [proxy.authorization] : [])];
  }

  async send(request: Omit<OtlpRequest, 'headers'>): Promise<AuthorizedAnswer> {
    const issued = await this.headers.current(request);
    let others: ReturnType<HeaderSource['otherThan']>;
    try {
      return await this.sendWith(request, issued);
    } catch (error) {
      others = this.mayBeStale(error) ? this.headers.otherThan(issued, request) : undefined;
      if (!others) throw error;
    }
    return this.sendWith(request, await others, issued);
  }

  /** Whether a server did not know the headers, and may know those that the function gives another time. */
  mayBeStale(error: unknown): boolean {
    return this.headers.canRefresh && (error as { code?: unknown } | null)?.code === this.refusal;
  }

  private async sendWith(
    request: Omit<OtlpRequest, 'headers'>,
    { values }: IssuedHeaders,
    before?: IssuedHeaders,
  ): Promise<AuthorizedAnswer> {
    const secrets = new Secrets(this.credentials, Object.values(values), Object.values(before?.values ?? {}));
    try {
      const { body } = await this.transport.send({ ...request, headers: values });
      this.headers.accepted();
      return { body, secrets };
    } catch (error) {
      throw secrets.maskError(error);
    }
  }
}
