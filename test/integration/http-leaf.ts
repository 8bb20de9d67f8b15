import http from 'node:http';
import {
  classifyFailure,
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  type SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';

/** A small OTLP/HTTP leaf that ends its request when its signal aborts, as the stock exporters cannot. */
export class HttpLeaf extends SpanBatchExporterBase {
  override readonly prefers = 'bytes';
  override readonly maxConcurrentExports: number = 30;
  private readonly url: string;
  private readonly agent = new http.Agent({ keepAlive: true });

  constructor(url: string) {
    super();
    this.url = url;
  }

  async exportBatch(batch: SpanBatch, { signal }: ExportContext): Promise<ExportOutcome> {
    try {
      const { status, retryAfter } = await this.post(batch.otlp(), signal);
      if (status === 200) return deliveredOutcome(batch.spanCount);
      throw Object.assign(new Error(`HTTP ${status}`), { code: status, retryAfter });
    } catch (thrown) {
      const { failure, error, retryAfterMillis } = classifyFailure(signal.aborted ? signal.reason : thrown);
      return failedOutcome(batch, failure, error, retryAfterMillis);
    }
  }

  protected override async onShutdown(): Promise<void> {
    this.agent.destroy();
  }

  private post(chunks: readonly Uint8Array[], signal: AbortSignal) {
    return new Promise<{ status: number; retryAfter: string | undefined }>((resolve, reject) => {
      const headers = { 'content-type': 'application/x-protobuf' };
      const request = http.request(this.url, { method: 'POST', agent: this.agent, signal, headers }, (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] }),
        );
      });
      request.on('error', reject);
      for (const chunk of chunks) request.write(chunk);
      request.end();
    });
  }
}
