import {
  ALWAYS_NORMAL,
  adaptSpanExporter,
  combinedOutcome,
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  type DeadlineOptions,
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  rejectedOutcome,
  SpanBatch,
  SpanBatchExporterBase,
  settledBy,
  storedOutcome,
  systemClock,
} from '@otel-resilience/core';
import { Archives } from './archive-tier/archives.js';
import { diversionToArchives } from './diversion.js';
import { readTieredOptions, type TieredSpanExporterOptions } from './options.js';
import { HOT, Router } from './routing/router.js';
import { type Route, routeTo } from './routing/routing-rules.js';
import { type Appended, SpooledTier } from './spooled-tier.js';
import { shownState } from './tier-status.js';
import type { TieredSpanExporterStats } from './tiered-span-exporter-stats.js';

/** Left of the caller's deadline for the spool, or half of it if that is less. */
const SPOOL_MARGIN_MILLIS = 1_000;
/** Left of a shutdown's deadline for the children, or a tenth of it if that is less. */
const SHUTDOWN_MARGIN_MILLIS = 1_000;
const SPOOL_TIMEOUT = new ExportError('DEADLINE_EXCEEDED', 'the spool took too long');
const OVERFLOW = new ExportError('REFUSED', 'the caller had no room left');

/**
 * Sends live batches to `hot`; what it cannot take waits in `spool` and is replayed, oldest first, when it is back.
 * `warm` and `cold` archive what the rules send there: by default, `warm` has everything that hot has.
 *
 *     new TieredSpanExporter({ hot: new OTLPTraceExporter(), warm: new FileObjectStore({ directory: 'archive' }) })
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class TieredSpanExporter extends SpanBatchExporterBase {
  /** With `context.overflow` a batch is stored at once: hot is not asked, and no slot of it taken. */
  readonly takesOverflow = true;
  private readonly hotTimeoutMillis: number;
  private readonly hot: SpooledTier;
  private readonly archives: Archives;
  private readonly router: Router;
  private readonly unpublish: ReadonlyArray<() => void>;
  private readonly exporting = new Set<Promise<ExportOutcome>>();
  private spilledSpans = 0;
  private lateStored = 0;
  private opening: Promise<void> | undefined;

  constructor(options: TieredSpanExporterOptions) {
    const read = readTieredOptions(options);
    const {
      clock = systemClock,
      spool,
      signals,
      warm,
      cold,
      rules = [],
      controller = ALWAYS_NORMAL,
      ...settings
    } = read;
    const exporter = adaptSpanExporter(read.hot, { clock });
    super({ children: [exporter], clock });
    this.hotTimeoutMillis = read.hotTimeoutMillis;
    const archives = new Archives({ warm, cold, clock });
    const router = new Router({ rules, otherwise: warm ? HOT_AND_WARM : HOT, controller, clock });
    this.archives = archives;
    this.router = router;
    this.hot = new SpooledTier({
      ...settings,
      name: 'hot',
      exporter,
      spool,
      timeoutMillis: read.hotTimeoutMillis,
      clock,
      onMoved: () => signals?.changed(),
      divert: diversionToArchives({ router, archives, spool, shutdownSignal: this.shutdownSignal }),
    });
    this.unpublish = signals
      ? [
          signals.publish('spoolUtilization', () => spool.bytes / spool.maxBytes),
          signals.publish('spoolSize', () => spool.size),
        ]
      : [];
  }

  /**
   * Begins to send what an earlier process has left in the spools, and finds out whether stores can be used; the first
   * export does so too.
   *
   * @throws ConfigurationError, or an ObjectStoreError, when a spool or a store is `required` and cannot be used.
   */
  open(): Promise<void> {
    this.opening ??= Promise.all([this.hot.open(), this.archives.open()]).then(() => {});
    return this.opening;
  }

  exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (!this.opening) this.open().catch(() => {}); // logged, and every append says so again
    const outcome = this.exportByRoute(batch, context);
    this.exporting.add(outcome);
    return outcome.finally(() => this.exporting.delete(outcome));
  }

  /** Rejects with how many spans wait for a tier, and what is the matter with it. */
  override async forceFlush({
    deadline = this.clock.now() + DEFAULT_FLUSH_TIMEOUT_MILLIS,
  }: DeadlineOptions = {}): Promise<void> {
    try {
      await super.forceFlush({ deadline });
    } catch (thrown) {
      const waiting = [this.hot.waiting, ...this.archives.waiting].filter((each) => each !== undefined);
      const [first] = waiting;
      if (!first || this.shutdownSignal.aborted) throw thrown;
      const message = waiting.map((each) => each.message).join('; ');
      throw new ExportError('DEADLINE_EXCEEDED', `forceFlush: ${message}`, { cause: first.cause ?? thrown });
    }
  }

  stats(): TieredSpanExporterStats {
    const { spilledSpans, lateStored } = this;
    const { tier, replayer, spool, divertedSpans } = this.hot;
    return {
      hot: shownState(tier.state),
      hotTimeoutMillis: tier.timeoutMillis,
      openExports: this.exporting.size,
      openReplays: replayer.openReplays,
      spilledSpans,
      replayedSpans: replayer.replayedSpans,
      probes: replayer.probes,
      lateAcknowledged: tier.lateAcknowledged,
      lateStored,
      divertedSpans,
      spool: { ...spool.stats(), bytes: spool.bytes, maxBytes: spool.maxBytes },
      ...this.archives.stats(),
    };
  }

  /** Every live export open now is answered and nothing waits: the spools are empty, unless they are durable. */
  protected override async onFlush(deadline: number): Promise<void> {
    const { hot, archives, clock } = this;
    const answered = Promise.allSettled([...this.exporting]);
    // What only archives get comes when hot has answered. If that takes long, they begin with what they have.
    const inTime = await settledBy(clock, (clock.now() + deadline) / 2, answered);
    const { divertedSpans } = hot;
    const hotFlushed = answered.then(() => this.flushHot(deadline));
    const flushed = await Promise.allSettled([hotFlushed, archives.flush(deadline)]);
    for (const result of flushed) if (result.status === 'rejected') throw result.reason;
    // Meanwhile some may have gone from one to the other.
    if (!inTime || hot.divertedSpans > divertedSpans) await archives.flush(deadline);
  }

  protected override async onShutdown(deadline: number): Promise<void> {
    const { hot, archives, clock } = this;
    const { reason } = this.shutdownSignal;
    const left = Math.max(0, deadline - clock.now());
    const endBy = deadline - Math.min(SHUTDOWN_MARGIN_MILLIS, left / 10);
    hot.replayer.hurry();
    archives.hurry();
    await settledBy(clock, endBy, this.emptied());
    // Whatever is open ends now, and goes to its spool before that is closed.
    const halted = [hot.halt(reason), archives.halt(reason)];
    await settledBy(clock, deadline, Promise.allSettled([...this.exporting, ...halted]));
    const closed = [hot.closeSpool({ deadline }), archives.close(deadline)];
    await settledBy(clock, deadline, Promise.allSettled(closed));
    for (const takeAway of this.unpublish) takeAway();
  }

  private async flushHot(deadline: number): Promise<void> {
    const { spool, replayer } = this.hot;
    if (spool.durable) return;
    const emptied = replayer.idle();
    if (!(await settledBy(this.clock, deadline, emptied))) {
      throw new ExportError('DEADLINE_EXCEEDED', `${spool.size} spans were still waiting in the spool`);
    }
    await emptied;
  }

  /** Resolves when nothing waits but what survives the process. */
  private async emptied(): Promise<void> {
    const { hot, archives } = this;
    await Promise.allSettled([...this.exporting]);
    await Promise.allSettled([hot.spool.durable ? undefined : hot.replayer.idle()]);
    // Last: out of hot's spool, spans go there.
    await archives.drain();
  }

  /** Copies for archives are appended at once; what archives alone get, when hot has answered for the rest. */
  private exportByRoute(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const forHot: SpanBatch[] = [];
    const forArchives: Array<readonly [Route, SpanBatch]> = [];
    for (const [route, part] of this.router.split(batch)) {
      if (route.hot) forHot.push(part);
      else forArchives.push([route, part]);
      if (route.hot) this.archives.copy(route, part);
    }
    if (forArchives.length === 0) return this.exportHot(batch, context);
    const hot = forHot.length > 0 ? this.exportHot(SpanBatch.join(forHot), context) : undefined;
    const archive = () => forArchives.map(([route, part]) => this.archive(route, part, context));
    // Whoever gives up while hot is at it has nothing stored. Overflow waits for nobody.
    const archived = hot && !context.overflow ? hot.then(archive) : archive();
    return Promise.resolve(archived).then(async (parts) =>
      combinedOutcome(await Promise.all(hot ? [hot, ...parts] : parts)),
    );
  }

  private exportHot(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    return context.overflow ? this.takeOverflow(batch, context) : this.exportOrSpill(batch, context);
  }

  /** Spans that hot does not get. */
  private archive(route: Route, batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (context.signal.aborted) return Promise.resolve(failedOutcome(batch, 'shutdown', context.signal.reason));
    return this.stored(this.archives.take(route, batch), batch.spanCount, context);
  }

  /** Appended before this returns: a burst that fills the caller's queue in one tick fits. */
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
    const { tier, slots, spool, replayer } = this.hot;
    const { state } = tier;
    if (state.kind === 'down' && spool.size > 0) return failedOutcome(batch, 'refused', state.error);
    if (!slots.tryAcquire()) {
      const acquired = slots.acquire(slotBy, context.signal);
      replayer.pump();
      if (!(await acquired)) {
        return failedOutcome(batch, 'refused', new ExportError('REFUSED', 'the hot tier had no slot free in time'));
      }
    }
    // With an empty spool there is nothing to probe with but this.
    const lastResort = context.lastResort || tier.state.kind === 'down';
    // From here on: an attempt that was late to begin, and failed for that, would speak against hot.
    const deadline = Math.min(latest, this.clock.now() + tier.timeoutMillis);
    const { outcome } = await tier.export(batch, { ...context, deadline, lastResort });
    slots.release();
    return outcome;
  }

  private async spill(first: ExportOutcome, remaining: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const { spanCount } = remaining;
    if (first.failure === 'permanent') return followedBy(first, rejectedOutcome(spanCount, first.error));
    // The caller has counted these spans already, with the outcome it gave itself. Stored, they would count twice.
    if (context.signal.aborted) return first;
    const stored = await this.stored(this.hot.append(remaining), spanCount, context, first);
    return followedBy(first, stored);
  }

  /** What a spool has taken, if it answers in time. `first`: what hot has said of these spans. */
  private async stored(
    appended: Promise<Appended>,
    spanCount: number,
    context: ExportContext,
    first?: ExportOutcome,
  ): Promise<ExportOutcome> {
    if (!(await settledBy(this.clock, context.deadline, appended))) {
      appended.then(({ stored }) => {
        this.lateStored += stored;
      });
      return droppedOutcome(spanCount, 'spool_failed', SPOOL_TIMEOUT);
    }
    const { stored, reason, error = first?.error } = await appended;
    if (context.signal.aborted) this.lateStored += stored;
    else this.spilledSpans += stored;
    const dropped = first?.failure === 'shutdown' ? 'shutdown' : reason;
    return followedBy(storedOutcome(stored), droppedOutcome(spanCount - stored, dropped, error));
  }
}

const HOT_AND_WARM = routeTo(['hot', 'warm']);
