import {
  adaptSpanExporter,
  type Clock,
  describeError,
  ExportError,
  LimitedLog,
  type SpanBatch,
  type SpoolLedgerSnapshot,
  toError,
  totalDropped,
} from '@otel-resilience/core';
import { ArchiveWriter, type ArchiveWriterStats } from '../object-store/archive-writer.js';
import type { ObjectStoreStatus } from '../object-store/object-store.js';
import { type Appended, SpooledTier, type Waiting } from '../spooled-tier.js';
import { shownState, type TierStatus } from '../tier-status.js';
import type { ArchiveTierSettings } from './archive-tier-options.js';
import { GatheringSpool } from './gathering-spool.js';

/** Why spans come to an archive: hot has them as well; hot was to have them, and they have become too old; it alone. */
export type Reason = 'copied' | 'diverted' | 'routed';

export interface ArchiveTierStats {
  readonly state: TierStatus;
  /** Its own books: `accepted + recovered = waiting + delivered + rejected + Σ dropped`. */
  readonly spool: SpoolLedgerSnapshot & { readonly bytes: number; readonly maxBytes: number };
  /** Whether what waits there survives the process. */
  readonly durable: boolean;
  /** Of those accepted, spans that this tier answers for, since hot does not get them: the processor's `handedToSpool` … */
  readonly routedSpans: number;
  /** … what came out of hot's spool, because hot was not to have it any more … */
  readonly divertedSpans: number;
  /** … and copies of what another tier has as well. */
  readonly copiedSpans: number;
  /** Copies that its spool could not take: not in the archive. */
  readonly missedSpans: number;
  /** Acknowledged after an attempt had been given up: they may be there twice. */
  readonly lateAcknowledged: number;
  readonly openExports: number;
  /** Of a store. */
  readonly writer: ArchiveWriterStats | undefined;
  readonly store: ObjectStoreStatus | undefined;
}

/** Exports open at a time: while one is being written, the next is made. */
const MAX_EXPORTS = 2;
const POISON_ATTEMPTS = 10;

/** An archive: everything goes to its spool first, and from there in large batches to where it stays. */
export class ArchiveTier {
  private readonly settings: ArchiveTierSettings;
  private readonly exporter: ReturnType<typeof adaptSpanExporter>;
  private readonly writer: ArchiveWriter | undefined;
  private readonly gathering: GatheringSpool;
  private readonly spooled: SpooledTier;
  private readonly log: LimitedLog;
  /** Copies wait for nobody, but flushes do for them. */
  private readonly appending = new Set<Promise<unknown>>();
  private readonly counts = { copied: 0, diverted: 0, routed: 0, missed: 0 };

  constructor(name: 'warm' | 'cold', settings: ArchiveTierSettings, clock: Clock) {
    this.settings = settings;
    this.log = new LimitedLog(`TieredSpanExporter (${name})`, { clock });
    const { store, storageClass = name === 'cold' ? 'GLACIER' : undefined, maxBatchBytes } = settings;
    this.writer = store && new ArchiveWriter({ store, storageClass, ownsStore: false, clock });
    this.exporter = adaptSpanExporter(this.writer ?? settings.exporter!, { clock });
    this.gathering = new GatheringSpool({
      spool: settings.spool,
      maxBatchBytes,
      delayMillis: settings.scheduledDelayMillis,
      encodes: this.exporter.prefers === 'bytes',
      clock,
    });
    this.spooled = new SpooledTier({
      name,
      exporter: this.exporter,
      spool: this.gathering,
      clock,
      timeoutMillis: settings.exportTimeoutMillis,
      replayTimeoutMillis: settings.exportTimeoutMillis,
      probeIntervalMillis: Math.min(settings.probeIntervalMillis, settings.exportTimeoutMillis),
      replaySpansPerSecond: Number.POSITIVE_INFINITY,
      maxReplays: MAX_EXPORTS,
      poisonAttempts: POISON_ATTEMPTS,
    });
  }

  /** @throws ConfigurationError when its spool or its store is `required` and cannot be used. */
  async open(): Promise<void> {
    await Promise.all([this.openStore(), this.spooled.open()]);
  }

  private async openStore(): Promise<void> {
    try {
      await this.settings.store?.open();
    } catch (thrown) {
      this.log.warn('store', () => `the store cannot be used: ${describeError(toError(thrown))}`);
      throw thrown;
    }
  }

  /** Everything up to the append is done before this returns. Never rejects. */
  async take(batch: SpanBatch, reason: Reason): Promise<Appended> {
    const appending = this.spooled.append(batch);
    this.appending.add(appending);
    const appended = await appending;
    this.appending.delete(appending);
    this.counts[reason] += appended.stored;
    if (reason === 'copied') this.counts.missed += batch.spanCount - appended.stored;
    return appended;
  }

  /** Whether what waits elsewhere may wait here: nothing is evicted for it, and what survives the process goes on to. */
  canTakeOver({ byteLength }: SpanBatch, isDurable: boolean): boolean {
    const { bytes, maxBytes, durable } = this.gathering;
    if (isDurable && !durable) {
      this.log.warn('memory', () => 'what waits on disk is not moved into memory: give this tier a Spool of its own');
      return false;
    }
    return bytes + byteLength <= maxBytes;
  }

  /** Whether what it was given by this process is archived, or going to be; for certain, if `isDurable`. */
  hasAll(isDurable: boolean): boolean {
    const { rejected, dropped } = this.gathering.stats();
    const lost = this.counts.missed + rejected + totalDropped(dropped);
    return lost === 0 && (!isDurable || this.gathering.durable);
  }

  stats(): ArchiveTierStats {
    const { gathering, counts, writer, settings } = this;
    const { tier, replayer } = this.spooled;
    return {
      state: shownState(tier.state),
      spool: { ...gathering.stats(), bytes: gathering.bytes, maxBytes: gathering.maxBytes },
      durable: gathering.durable,
      routedSpans: counts.routed,
      divertedSpans: counts.diverted,
      copiedSpans: counts.copied,
      missedSpans: counts.missed,
      lateAcknowledged: tier.lateAcknowledged,
      openExports: replayer.openReplays,
      writer: writer?.stats(),
      store: settings.store?.status(),
    };
  }

  /** Resolves when what waits now is archived, or waits where it survives the process. */
  async flush(deadline: number): Promise<void> {
    await Promise.all(this.appending);
    if (this.gathering.durable) return;
    if (!(await this.gathering.emptied(deadline))) throw new ExportError('DEADLINE_EXCEEDED', 'not archived in time');
    await this.exporter.forceFlush({ deadline });
  }

  get waiting(): Waiting | undefined {
    return this.spooled.waiting;
  }

  /** Nothing waits for company any more, unless it can wait for the next process. */
  hurry(): void {
    if (this.gathering.durable) return;
    this.gathering.hurry();
    this.spooled.replayer.hurry();
  }

  /** Resolves when all is archived, or waits where it survives the process. */
  async drain(): Promise<void> {
    this.hurry();
    await Promise.all(this.appending);
    if (!this.gathering.durable) await this.spooled.replayer.idle();
  }

  /** Ends what is open: it goes back to the spool. */
  halt(reason: ExportError): Promise<void> {
    return this.spooled.halt(reason);
  }

  /** The store is left open: others may need it. */
  async close(deadline: number): Promise<void> {
    await Promise.allSettled([this.spooled.closeSpool({ deadline }), this.exporter.shutdown({ deadline })]);
  }
}
