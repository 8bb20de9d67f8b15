import {
  adaptSpanExporter,
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  type DeadlineOptions,
  deliveredOutcome,
  describeError,
  droppedOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  LimitedLog,
  rejectedOutcome,
  type SpanBatch,
  SpanBatchExporterBase,
  settledBy,
  storedOutcome,
  systemClock,
  toError,
} from '@otel-resilience/core';
import { Backlog } from './backlog.js';
import { TierSlots } from './tier-slots.js';
import { type TierState, Tier } from './tier.js';
import { readTieredOptions, type TieredSpanExporterOptions } from './options.js';
import { Replayer } from './replay.js';
import type { SpanSpool } from './spool/spool.js';
import type { TierStatus, TieredSpanExporterStats } from './tiered-span-exporter-stats.js';

/** Left of the caller's deadline for the spool, or half of it if that is less. */
const SPOOL_MARGIN_MILLIS = 1_000;
/** Left of a shutdown's deadline for the children, or a tenth of it if that is less. */
const SHUTDOWN_MARGIN_MILLIS = 1_000;
const SPOOL_TIMEOUT = new ExportError('DEADLINE_EXCEEDED', 'the spool took too long');
const OVERFLOW = new ExportError('REFUSED', 'the caller had no room left');

/**
 * Sends live batches to `hot`; what it cannot take waits in `spool` and is replayed, oldest first, when it is back.
 *
 *     new TieredSpanExporter({ hot: new OTLPTraceExporter(), spool: new MemorySpool({ maxBytes: 16 * 1024 * 1024 }) })
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class TieredSpanExporter extends SpanBatchExporterBase {
  /** With `context.overflow` a batch is stored at once: hot is not asked, and no slot of it taken. */
  readonly takesOverflow = true;
  private readonly spool: SpanSpool;
  private readonly hotTimeoutMillis: number;
  private readonly hot: Tier;
  private readonly slots: TierSlots;
  private readonly backlog: Backlog;
  private readonly replayer: Replayer;
  private readonly log: LimitedLog;
  private readonly unpublish: ReadonlyArray<() => void>;
  private readonly exporting = new Set<Promise<ExportOutcome>>();
  private spilledSpans = 0;
  private reportedEvictions = 0;
  private lateStored = 0;
  private opening: Promise<void> | undefined;

  constructor(options: TieredSpanExporterOptions) {
    const read = readTieredOptions(options);
    const { spool, probeIntervalMillis, replaySpansPerSecond, replayTimeoutMillis, signals } = read;
    const { clock = systemClock } = read;
    const exporter = adaptSpanExporter(read.hot, { clock });
    super({ children: [exporter], clock });
    this.spool = spool;
    this.hotTimeoutMillis = read.hotTimeoutMillis;
    this.log = new LimitedLog('TieredSpanExporter', { clock });
    this.hot = new Tier(exporter, clock, read.hotTimeoutMillis, (state) => this.onHotChange(state));
    this.slots = new TierSlots(exporter.maxConcurrentExports, clock, () => this.replayer.pump());
    this.backlog = new Backlog(spool, clock, this.log, read.poisonAttempts, () => signals?.changed());
    this.replayer = new Replayer({
      hot: this.hot,
      slots: this.slots,
      backlog: this.backlog,
      clock,
      log: this.log,
      probeIntervalMillis,
      replaySpansPerSecond,
      replayTimeoutMillis,
    });
    this.unpublish = signals
      ? [
          signals.publish('spoolUtilization', () => spool.bytes / spool.maxBytes),
          signals.publish('spoolSize', () => spool.size),
        ]
      : [];
  }

  /**
   * Begins to send what an earlier process has left in the spool; the first export does too.
   *
   * @throws ConfigurationError when the spool is `required` and cannot be used.
   */
  open(): Promise<void> {
    this.opening ??= this.openSpool();
    return this.opening;
  }

  exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (!this.opening) this.open().catch(() => {}); // logged, and every append says so again
    const outcome = context.overflow ? this.takeOverflow(batch, context) : this.exportOrSpill(batch, context);
    this.exporting.add(outcome);
    return outcome.finally(() => this.exporting.delete(outcome));
  }

  /** Rejects with what is the matter with `hot`, and how many spans wait for it. */
  override async forceFlush({
    deadline = this.clock.now() + DEFAULT_FLUSH_TIMEOUT_MILLIS,
  }: DeadlineOptions = {}): Promise<void> {
    try {
      await super.forceFlush({ deadline });
    } catch (thrown) {
      const { size, durable } = this.spool;
      if (size === 0 || durable || this.shutdownSignal.aborted) throw thrown;
      const { state } = this.hot;
      const [why, cause] =
        state.kind === 'down' ? [describeError(state.error), state.error] : ['they are being replayed', thrown];
      throw new ExportError('DEADLINE_EXCEEDED', `forceFlush: ${size} spans wait in the spool: ${why}`, { cause });
    }
  }

  stats(): TieredSpanExporterStats {
    const { hot, replayer, spool, spilledSpans, lateStored } = this;
    return {
      hot: shown(hot.state),
      hotTimeoutMillis: hot.timeoutMillis,
      openExports: this.exporting.size,
      openReplays: replayer.openReplays,
      spilledSpans,
      replayedSpans: replayer.replayedSpans,
      probes: replayer.probes,
      lateAcknowledged: hot.lateAcknowledged,
      lateStored,
      spool: { ...spool.stats(), bytes: spool.bytes, maxBytes: spool.maxBytes },
    };
  }

  /** Every live export open now is answered and nothing waits: the spool is empty, unless it is durable. */
  protected override async onFlush(deadline: number): Promise<void> {
    await Promise.allSettled([...this.exporting]);
    if (this.spool.durable) return;
    const emptied = this.replayer.idle();
    if (await settledBy(this.clock, deadline, emptied)) return emptied;
    throw new ExportError('DEADLINE_EXCEEDED', `${this.spool.size} spans were still waiting in the spool`);
  }

  protected override async onShutdown(deadline: number): Promise<void> {
    const left = Math.max(0, deadline - this.clock.now());
    const endBy = deadline - Math.min(SHUTDOWN_MARGIN_MILLIS, left / 10);
    this.replayer.hurry();
    const emptied = Promise.allSettled([...this.exporting]).then(() =>
      this.spool.durable ? undefined : this.replayer.idle(),
    );
    await settledBy(this.clock, endBy, emptied);
    // Whatever is open ends now, and goes to the spool before that is closed.
    this.hot.abort(this.shutdownSignal.reason);
    this.slots.turnAway();
    const halted = this.replayer.halt(this.shutdownSignal.reason);
    await settledBy(this.clock, deadline, Promise.allSettled([...this.exporting, halted]));
    await settledBy(this.clock, deadline, this.closeSpool(deadline));
    for (const takeAway of this.unpublish) takeAway();
  }

  private async openSpool(): Promise<void> {
    const onArrival = () => {
      this.backlog.arrived();
      this.replayer.pump();
    };
    if (!this.spool.open) return;
    try {
      await this.spool.open(onArrival);
    } catch (thrown) {
      this.log.warn('open', () => `the spool cannot be used: ${describeError(toError(thrown))}`);
      throw thrown;
    }
    if (this.spool.size > 0) onArrival();
  }

  /** Everything up to the append is done before this returns: a burst that fills the caller's queue in one tick fits. */
  private takeOverflow(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (batch.spanCount === 0) return Promise.resolve(deliveredOutcome(0));
    const { aborted, reason } = this.shutdownSignal;
    return this.spill(
      failedOutcome(batch, aborted ? 'shutdown' : 'refused', aborted ? reason : OVERFLOW),
      batch,
      context,
    );
  }

  private async exportOrSpill(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const outcome = await this.exportToHot(batch, context);
    return outcome.remaining ? this.spill(outcome, outcome.remaining, context) : outcome;
  }

  /** Asks the hot tier, unless it is down and replay is finding out when it is back. */
  private async exportToHot(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (batch.spanCount === 0) return deliveredOutcome(0);
    // What still comes during a shutdown is replayed with the rest, or counted with it.
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    const now = this.clock.now();
    const left = context.deadline - now;
    const latest = context.deadline - Math.min(SPOOL_MARGIN_MILLIS, left / 2);
    const slotBy = Math.min(latest, now + this.hotTimeoutMillis);
    if (slotBy <= now) return failedOutcome(batch, 'refused', new ExportError('REFUSED', 'no time left to export'));
    const { state } = this.hot;
    if (state.kind === 'down' && this.spool.size > 0) return failedOutcome(batch, 'refused', state.error);
    if (!this.slots.tryAcquire()) {
      const acquired = this.slots.acquire(slotBy, context.signal);
      this.replayer.pump();
      if (!(await acquired)) {
        return failedOutcome(batch, 'refused', new ExportError('REFUSED', 'the hot tier had no slot free in time'));
      }
    }
    // With an empty spool there is nothing to probe with but this.
    const lastResort = context.lastResort || this.hot.state.kind === 'down';
    // From here on: an attempt that was late to begin, and failed for that, would speak against hot.
    const deadline = Math.min(latest, this.clock.now() + this.hot.timeoutMillis);
    const { outcome } = await this.hot.export(batch, { ...context, deadline, lastResort });
    this.slots.release();
    return outcome;
  }

  private async spill(first: ExportOutcome, remaining: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const { spanCount } = remaining;
    if (first.failure === 'permanent') return followedBy(first, rejectedOutcome(spanCount, first.error));
    // The caller has counted these spans already, with the outcome it gave itself. Stored, they would count twice.
    if (context.signal.aborted) return first;
    const appended = this.append(remaining);
    if (!(await settledBy(this.clock, context.deadline, appended))) {
      appended.then(({ stored }) => {
        this.lateStored += stored;
      });
      return followedBy(first, droppedOutcome(spanCount, 'spool_failed', SPOOL_TIMEOUT));
    }
    const { stored, reason, error = first.error } = await appended;
    if (context.signal.aborted) this.lateStored += stored;
    else this.spilledSpans += stored;
    const dropped = first.failure === 'shutdown' ? 'shutdown' : reason;
    return followedBy(first, followedBy(storedOutcome(stored), droppedOutcome(spanCount - stored, dropped, error)));
  }

  /** Never rejects. */
  private async append(batch: SpanBatch): Promise<{ stored: number; reason: string; error?: Error }> {
    try {
      const { stored } = await this.spool.append(batch);
      this.backlog.arrived();
      this.replayer.pump();
      this.reportEvictions();
      return { stored: Math.max(0, Math.min(stored, batch.spanCount)), reason: 'spool_full' };
    } catch (thrown) {
      const error = toError(thrown);
      this.log.warn('append', () => `the spool failed to take ${batch.spanCount} spans: ${describeError(error)}`);
      return { stored: 0, reason: 'spool_failed', error };
    }
  }

  /** What a spool gives up to make room is in its own ledger, where nobody looks during an outage. */
  private reportEvictions(): void {
    const { full = 0 } = this.spool.stats().dropped;
    const evicted = full - this.reportedEvictions;
    if (evicted <= 0) return;
    this.reportedEvictions = full;
    this.log.warn(
      'full',
      () => `the spool is full (${this.spool.bytes} bytes): the oldest ${evicted} spans were dropped`,
    );
  }

  private onHotChange(state: TierState): void {
    if (state.kind === 'down') {
      this.slots.turnAway();
      this.log.warn('down', () => `the hot tier is down, spans go to the spool: ${describeError(state.error)}`);
    } else {
      this.log.warn('up', () => `the hot tier is back; ${this.spool.size} spans wait to be replayed`);
    }
    this.replayer.stateChanged();
  }

  private async closeSpool(deadline: number): Promise<void> {
    await this.spool.shutdown({ deadline });
    const { shutdown: lost = 0 } = this.spool.stats().dropped;
    if (lost > 0) this.log.warn('shutdown', () => `shut down with ${lost} spans in the spool: dropped`);
  }
}

const shown = (state: TierState): TierStatus =>
  state.kind === 'up' ? state : { ...state, error: describeError(state.error) };
