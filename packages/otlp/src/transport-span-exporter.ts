import {
  classifyFailure,
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  exportInParts,
  failedOutcome,
  followedBy,
  LimitedLog,
  type SentPart,
  SpanBatch,
  SpanBatchExporterBase,
  settledBy,
} from '@otel-resilience/core';
import { type AuthorizedAnswer, AuthorizedSender } from './authorized-sender.js';
import type { OtlpProtocol } from './endpoint-url.js';
import { ExportSlots } from './export-slots.js';
import { HeaderSource } from './header-source.js';
import { OtlpInstruments } from './otlp-instruments.js';
import type { OtlpTransport } from './otlp-transport.js';
import { readPartialSuccess } from './partial-success.js';
import { RequestTooLargeError, saysTooLarge } from './request-too-large.js';
import type { OtlpSettings } from './settings.js';
import { showAs } from './shown-as.js';

/** Left of a shutdown's deadline for closing connections, or a tenth of it if that is less. */
const CLOSING_MILLIS = 100;

/** An export that has not ended. */
interface OpenExport {
  readonly abort: AbortController;
  readonly ended: Promise<ExportOutcome>;
}

/** What all requests of one export share. */
interface Call {
  readonly signal: AbortSignal;
  readonly deadline: number;
  /** What the last request failed with; `undefined` when it was accepted. */
  lastError: unknown;
}

/** What {@link OtlpSpanExporter} does, over any transport. */
export class TransportSpanExporter extends SpanBatchExporterBase {
  override readonly prefers = 'bytes';
  override readonly maxConcurrentExports: number;
  readonly protocol: OtlpProtocol;
  /** Where it sends, without what must not be shown. */
  readonly url: string;
  private readonly settings: OtlpSettings;
  private readonly transport: OtlpTransport;
  private readonly sender: AuthorizedSender;
  private readonly slots: ExportSlots;
  private readonly instruments: OtlpInstruments;
  private readonly log: LimitedLog;
  private readonly open = new Set<OpenExport>();

  constructor(settings: OtlpSettings, transport: OtlpTransport) {
    const { clock, protocol, headers, maxConcurrentExports } = settings;
    super({ clock });
    this.settings = settings;
    this.transport = transport;
    this.maxConcurrentExports = maxConcurrentExports;
    this.protocol = protocol;
    this.url = settings.endpoint.shown;
    this.sender = new AuthorizedSender(
      transport,
      new HeaderSource({ ...headers, clock }),
      protocol,
      settings.transport,
    );
    this.slots = new ExportSlots(maxConcurrentExports, clock);
    this.instruments = new OtlpInstruments(protocol, settings.endpoint.target, settings.metrics);
    this.log = new LimitedLog(this.instruments.componentName, { clock });
    showAs(this, { protocol, url: this.url });
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    if (context.signal.aborted) return failed(batch, context.signal.reason);
    const abort = new AbortController();
    const onAbort = () => abort.abort(context.signal.reason);
    context.signal.addEventListener('abort', onAbort, { once: true });
    const deadline = Math.min(context.deadline, this.clock.now() + this.settings.timeoutMillis);
    const open: OpenExport = {
      abort,
      ended: this.measured(batch, { signal: abort.signal, deadline, lastError: undefined }),
    };
    this.open.add(open);
    try {
      return await open.ended;
    } finally {
      this.open.delete(open);
      context.signal.removeEventListener('abort', onAbort);
    }
  }

  protected override async onFlush(): Promise<void> {
    await Promise.allSettled([...this.open].map(({ ended }) => ended));
  }

  /** What is open may end; what is still open shortly before the deadline is ended. */
  protected override async onShutdown(deadline: number): Promise<void> {
    const left = Math.max(0, deadline - this.clock.now());
    await settledBy(this.clock, deadline - Math.min(CLOSING_MILLIS, left / 10), this.onFlush());
    for (const { abort } of this.open) abort.abort(this.shutdownSignal.reason);
    this.instruments.shutdown();
    await this.transport.shutdown();
  }

  private async measured(batch: SpanBatch, call: Call): Promise<ExportOutcome> {
    const startedAt = this.clock.now();
    const end = this.instruments.begin(batch.spanCount);
    const outcome = await this.inSlot(batch, call);
    end(outcome, (this.clock.now() - startedAt) / 1000, call.lastError);
    return outcome;
  }

  private async inSlot(batch: SpanBatch, call: Call): Promise<ExportOutcome> {
    const { signal, deadline } = call;
    if (!this.slots.tryAcquire() && !(await this.slots.acquire(deadline, signal))) {
      if (signal.aborted) return failed(batch, signal.reason);
      const message = `${this.maxConcurrentExports} exports were open all the time there was`;
      return failedOutcome(batch, 'refused', new ExportError('REFUSED', message));
    }
    try {
      return await this.exportReadable(batch, call);
    } catch (thrown) {
      return failed(batch, thrown);
    } finally {
      this.slots.release();
    }
  }

  /** Spans that cannot be encoded are no reason to keep the others. */
  private async exportReadable(batch: SpanBatch, call: Call): Promise<ExportOutcome> {
    try {
      batch.otlp();
    } catch (thrown) {
      const indexes = unreadable(thrown);
      if (!indexes) throw thrown;
      this.log.warn('unreadable', () => `${indexes.size} spans cannot be read, and are dropped`);
      const readable = SpanBatch.fromSpans(batch.spans().filter((_, index) => !indexes.has(index)));
      const dropped = droppedOutcome(indexes.size, 'unreadable');
      return readable.spanCount === 0 ? dropped : followedBy(dropped, await this.exportEncoded(readable, call));
    }
    return this.exportEncoded(batch, call);
  }

  /** In one request; where that is too large, in as many as it takes. */
  private async exportEncoded(batch: SpanBatch, call: Call): Promise<ExportOutcome> {
    const { outcome, call: how } = await this.send(batch, call);
    if (how !== 'threw' || !outcome.remaining) return outcome;
    return exportInParts(batch, outcome, {
      send: async (part) => {
        const outcome = this.cutOff(part, call);
        return outcome ? { outcome, call: 'none' } : this.send(part, call);
      },
      onBadSpans: (spans, { message }) =>
        this.log.warn('too large', () => `${spans} spans are too large for ${this.url}: ${message}`),
    });
  }

  /** `threw` stands for a request that is too large. */
  private async send(batch: SpanBatch, call: Call): Promise<SentPart> {
    const { maxRequestBytes, protocol } = this.settings;
    const chunks = batch.otlp();
    const { byteLength, spanCount } = batch;
    if (byteLength > maxRequestBytes && spanCount > 0) {
      const error = new RequestTooLargeError(byteLength, maxRequestBytes);
      return { outcome: failedOutcome(batch, 'permanent', error), call: 'threw' };
    }
    try {
      const { signal, deadline } = call;
      const answer = await this.sender.send({ chunks, byteLength, signal, deadline });
      call.lastError = undefined;
      return { outcome: this.accepted(spanCount, answer), call: 'begun' };
    } catch (thrown) {
      call.lastError = thrown;
      if (this.sender.mayBeStale(thrown)) return { outcome: keptForNewHeaders(batch, thrown), call: 'begun' };
      if (!saysTooLarge(thrown, protocol)) return { outcome: failed(batch, thrown), call: 'begun' };
      return { outcome: failedOutcome(batch, 'permanent', classifyFailure(thrown).error), call: 'threw' };
    }
  }

  private accepted(spanCount: number, { body, secrets }: AuthorizedAnswer): ExportOutcome {
    const { rejectedSpans, message: said } = readPartialSuccess(body, spanCount);
    const message = said && secrets.mask(said);
    if (rejectedSpans > 0) {
      this.log.warn('rejected', () => `${this.url} rejected ${rejectedSpans} of ${spanCount} spans: ${message}`);
    } else if (message !== '') this.log.warn('warning', () => `${this.url} took all spans, and says: ${message}`);
    return deliveredOutcome(spanCount, rejectedSpans);
  }

  /** Why nothing more of a batch may be sent, if it may not. */
  private cutOff(batch: SpanBatch, { signal, deadline }: Call): ExportOutcome | undefined {
    if (signal.aborted) return failed(batch, signal.reason);
    if (deadline > this.clock.now()) return undefined;
    return failed(batch, new ExportError('DEADLINE_EXCEEDED', 'no time left for a further part'));
  }
}

function failed(batch: SpanBatch, thrown: unknown): ExportOutcome {
  const { failure, error, retryAfterMillis } = classifyFailure(thrown);
  return failedOutcome(batch, failure, error, retryAfterMillis);
}

/**
 * OTLP has 401 and UNAUTHENTICATED not retried, since the same request fares no better. This one will be another: its
 * headers are asked for anew.
 */
function keptForNewHeaders(batch: SpanBatch, thrown: unknown): ExportOutcome {
  const { error, retryAfterMillis } = classifyFailure(thrown);
  return failedOutcome(batch, 'retryable', error, retryAfterMillis);
}

/** By its name, not its class: there may be two copies of core in a process. */
function unreadable(thrown: unknown): ReadonlySet<number> | undefined {
  const { name, indexes } = thrown as { name?: unknown; indexes?: unknown };
  return name === 'UnreadableSpansError' && Array.isArray(indexes) ? new Set(indexes) : undefined;
}
