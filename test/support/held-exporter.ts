import type { ExportResult, ReadableSpan, SpanExporter } from '@otel-resilience/core';

export const SUCCESS: ExportResult = { code: 0 };
export const FAILED: ExportResult = { code: 1, error: new Error('the receiver said no') };

/** One export that waits for its answer. */
export interface HeldExport {
  readonly spans: readonly ReadableSpan[];
  answer(result: ExportResult): void;
}

/** A stock `SpanExporter` that answers when the test says so, or at once as `always` says. */
export class HeldExporter implements SpanExporter {
  readonly exports: HeldExport[] = [];
  open = 0;
  mostOpen = 0;
  flushes = 0;
  shutdowns = 0;
  private always: ExportResult | undefined;

  constructor(always?: ExportResult) {
    this.always = always;
  }

  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void {
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const answer = (result: ExportResult) => {
      this.open--;
      resultCallback(result);
    };
    this.exports.push({ spans, answer });
    if (this.always) answer(this.always);
  }

  /** Answers everything that is open, and every later export, this way. */
  answerAll(result: ExportResult, open = this.exports): void {
    this.always = result;
    for (const { answer } of open) answer(result);
  }

  get exportedNames(): string[] {
    return this.exports.flatMap(({ spans }) => spans.map((span) => span.name));
  }

  async forceFlush(): Promise<void> {
    this.flushes++;
  }

  async shutdown(): Promise<void> {
    this.shutdowns++;
  }
}
