/** What sampling and estimates need of a span, as it was on the wire; a tenth of the work of decoding all of it. */
export interface SpanOutline {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** '' for a root. */
  readonly parentSpanId: string;
  /** As W3C writes it, '' for none. */
  readonly traceState: string;
  /** Bits 0 to 7 are the W3C trace flags, bit 9 is set if the parent is known to be remote (bit 8: if it is known). */
  readonly flags: number;
  /** As OTLP numbers them: 0 is UNSET, 1 OK, 2 ERROR. */
  readonly statusCode: number;
  /** Since the Unix epoch, to a few tenths of a microsecond. */
  readonly startTimeUnixMillis: number;
  readonly durationMillis: number;
}
