import type { IncomingHttpHeaders } from 'node:http2';
import { showAs } from '../shown-as.js';

/** Headers or trailers of a response, with the one method of grpc-js's `Metadata` that readers of an error need. */
export class ResponseMetadata {
  private readonly headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    this.headers = headers;
    showAs(this, {}); // a server may have repeated in them what it was sent
  }

  /** Every value of a key, in lower case; those of a `-bin` key are decoded. */
  get(name: string): (string | Buffer)[] {
    const value = this.headers[name];
    if (value === undefined) return [];
    const values = typeof value === 'string' ? [value] : value;
    if (!name.endsWith('-bin')) return [...values];
    // gRPC: several values of one key may come joined by commas, which base64 does not have.
    return values.flatMap((joined) => joined.split(',')).map((text) => Buffer.from(text.trim(), 'base64'));
  }
}
