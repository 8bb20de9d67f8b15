import { estimateEnvelopeBytes, estimateSpanBytes } from './estimate-span-bytes.js';
import { BytesForm } from './otlp/bytes-form.js';
import { decodeSpans } from './otlp/decoder.js';
import type { EncodedSpans } from './otlp/encoded-spans.js';
import { encode, UnreadableSpansError } from './otlp/encoder.js';
import type { ReadableSpan } from './sdk-types.js';
import {
  mergeSummaries,
  type SpanBatchSummary,
  type SpanHead,
  spanHead,
  summarize,
  summaryCount,
} from './span-batch-summary.js';

type Form = { kind: 'spans'; spans: readonly ReadableSpan[] } | { kind: 'bytes'; bytes: BytesForm };

/**
 * The one currency of the pipeline: an immutable batch of ended spans, held as SDK spans or as OTLP protobuf bytes
 * (an `ExportTraceServiceRequest`). It converts at most once, when somebody asks for the other form; the form it
 * came in is given up then.
 */
export class SpanBatch {
  readonly spanCount: number;
  private form: Form;
  private knownBytes: number | undefined;
  private knownSummary: SpanBatchSummary | undefined;

  private constructor(form: Form, spanCount: number, byteLength?: number, summary?: SpanBatchSummary) {
    this.form = form;
    this.spanCount = spanCount;
    this.knownBytes = byteLength;
    this.knownSummary = summary;
  }

  /**
   * A batch of SDK spans; the array is copied. `byteLength` is an estimate of the encoded size when the caller
   * has one already (`estimateEnvelopeBytes` and the sum of `estimateSpanBytes`), otherwise it is made on demand.
   */
  static fromSpans(spans: readonly ReadableSpan[], known: { byteLength?: number } = {}): SpanBatch {
    return new SpanBatch({ kind: 'spans', spans: spans.slice() }, spans.length, known.byteLength);
  }

  /**
   * A batch of encoded spans. The chunks, joined, are one OTLP request; nobody may write to them afterwards. Without a
   * `summary` their heads are read.
   */
  static fromBytes(chunks: readonly Uint8Array[], summary?: SpanBatchSummary): SpanBatch {
    const bytes = new BytesForm(chunks);
    const known = summary ?? summarize(bytes.heads());
    return new SpanBatch({ kind: 'bytes', bytes }, summaryCount(known), bytes.byteLength, known);
  }

  /** The same of spans as a `SpanBatchBuilder` has sealed them. */
  static fromEncoded(spans: EncodedSpans): SpanBatch {
    const bytes = new BytesForm(spans.spanCount > 0 ? [spans.write()] : []);
    return new SpanBatch({ kind: 'bytes', bytes }, spans.spanCount, bytes.byteLength, spans.summary);
  }

  /** One batch of all spans of several, in order. */
  static join(batches: readonly SpanBatch[]): SpanBatch {
    const [first] = batches;
    if (first && batches.length === 1) return first;
    const chunks: Uint8Array[] = [];
    for (const { form } of batches) {
      if (form.kind === 'spans') return SpanBatch.fromSpans(batches.flatMap((batch) => batch.spans()));
      chunks.push(...form.bytes.chunks);
    }
    const bytes = new BytesForm(chunks);
    const spanCount = batches.reduce((sum, batch) => sum + batch.spanCount, 0);
    // What is known of each is known of all; if not, it is read from the bytes when somebody asks.
    const known = batches.flatMap(({ knownSummary }) => knownSummary ?? []);
    const summary = known.length === batches.length ? mergeSummaries(known) : undefined;
    return new SpanBatch({ kind: 'bytes', bytes }, spanCount, bytes.byteLength, summary);
  }

  /** The same spans in a batch of its own: who converts one does not convert the other. Costs nothing by itself. */
  copy(): SpanBatch {
    return new SpanBatch(this.form, this.spanCount, this.knownBytes, this.knownSummary);
  }

  /** Encoded size in bytes: exact for bytes, an estimate within 20 % for spans. */
  get byteLength(): number {
    if (this.knownBytes === undefined) {
      if (this.form.kind === 'spans') {
        let bytes = estimateEnvelopeBytes(this.form.spans);
        for (const span of this.form.spans) bytes += estimateSpanBytes(span);
        this.knownBytes = bytes;
      } else this.knownBytes = this.form.bytes.byteLength;
    }
    return this.knownBytes;
  }

  /** Whether {@link otlp} is to be had for nothing. */
  get isEncoded(): boolean {
    return this.form.kind === 'bytes';
  }

  get summary(): SpanBatchSummary {
    this.knownSummary ??= summarize(this.heads());
    return this.knownSummary;
  }

  /** The spans, in order, in an array of the caller's own. Decodes a batch of bytes, which it is then no longer. */
  spans(): ReadableSpan[] {
    if (this.form.kind === 'bytes') this.form = { kind: 'spans', spans: decodeSpans(this.form.bytes.chunks) };
    return this.form.spans.slice();
  }

  /**
   * The chunks of an OTLP `ExportTraceServiceRequest`. Encodes a batch of spans, which it is then no longer; they are
   * grouped by resource and scope, so their order may change. Throws an `UnreadableSpansError` when some of them cannot
   * be encoded: the rest is to be had by {@link partition}.
   */
  otlp(): readonly Uint8Array[] {
    if (this.form.kind === 'spans') {
      const { bytes, unreadable } = encode(this.form.spans);
      if (unreadable.length > 0) throw new UnreadableSpansError(unreadable);
      this.form = { kind: 'bytes', bytes: new BytesForm([bytes]) };
      this.knownBytes = bytes.byteLength;
    }
    return this.form.bytes.chunks;
  }

  /** Spans `start` (inclusive) to `end` (exclusive), with the meaning of `Array.prototype.slice`. Never decodes. */
  slice(start: number, end?: number): SpanBatch {
    const { form } = this;
    if (form.kind === 'spans') return SpanBatch.fromSpans(form.spans.slice(start, end));
    const indexes = range(this.spanCount).slice(start, end);
    return SpanBatch.fromPicked(form.bytes.pick(indexes), indexes.length);
  }

  /** One batch for every key that `keyOf` returns, each in the original order. Never decodes. */
  partition<K>(keyOf: (head: SpanHead, index: number) => K): Map<K, SpanBatch> {
    const keys: K[] = [];
    for (const head of this.heads()) keys.push(keyOf(head, keys.length));
    return this.divide(keys);
  }

  /** The same, for who knows the key of each span. Throws a RangeError when there are not as many keys as spans. */
  divide<K>(keys: readonly K[]): Map<K, SpanBatch> {
    if (keys.length !== this.spanCount) throw new RangeError(`${keys.length} keys for ${this.spanCount} spans`);
    const groups = new Map<K, number[]>();
    for (const [index, key] of keys.entries()) {
      const group = groups.get(key);
      if (group) group.push(index);
      else groups.set(key, [index]);
    }
    const lists = [...groups.values()];
    const { form } = this;
    const parts =
      form.kind === 'spans'
        ? lists.map((indexes) => SpanBatch.fromSpans(indexes.map((i) => form.spans[i]!)))
        : form.bytes.pickEach(lists).map((picked, part) => SpanBatch.fromPicked(picked, lists[part]!.length));
    return new Map([...groups.keys()].map((key, part) => [key, parts[part]!]));
  }

  /** What routing needs to know of each span, in order. Read as they are asked for, about 2 µs each: never decoded. */
  *heads(): Iterable<SpanHead> {
    const { form } = this;
    if (form.kind === 'bytes') yield* form.bytes.heads();
    else for (const span of form.spans) yield spanHead(span);
  }

  private static fromPicked(picked: BytesForm, spanCount: number): SpanBatch {
    return new SpanBatch({ kind: 'bytes', bytes: picked }, spanCount, picked.byteLength);
  }
}

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
