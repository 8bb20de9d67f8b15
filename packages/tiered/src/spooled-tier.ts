import {
  type Clock,
  type DeadlineOptions,
  describeError,
  type ExportError,
  LimitedLog,
  type SpanBatch,
  type SpanBatchExporter,
  toError,
} from '@otel-resilience/core';
import { Backlog } from './backlog.js';
import { BoundedAppends } from './bounded-appends.js';
import type { Diversion } from './diversion.js';
import { Replayer } from './replay.js';
import type { SpanSpool } from './spool/spool.js';
import { Tier, type TierState } from './tier.js';
import { TierSlots } from './tier-slots.js';

export interface SpooledTierOptions {
  /** As it is called in messages. */
  readonly name: string;
  readonly exporter: SpanBatchExporter;
  readonly spool: SpanSpool;
  /** How long it may keep a live batch, in milliseconds. */
  readonly timeoutMillis: number;
  readonly probeIntervalMillis: number;
  readonly replayTimeoutMillis: number;
  readonly replaySpansPerSecond: number;
  readonly maxReplays?: number;
  readonly poisonAttempts: number;
  readonly clock: Clock;
  /** Called when what waits has become more or less. */
  readonly onMoved?: () => void;
  /** Asked of each batch that is taken out of the spool. */
  readonly divert?: Diversion;
}

const OWNER = 'TieredSpanExporter';

/** What a spool has taken: `stored` and, of the others, why not. */
export interface Appended {
  readonly stored: number;
  readonly reason: 'spool_full' | 'spool_failed';
  readonly error?: Error;
}

/** What waits in a spool that does not survive the process, and why. */
export interface Waiting {
  readonly message: string;
  readonly cause: Error | undefined;
}

/** A destination, the spool in front of it, and the replay from one to the other. */
export class SpooledTier {
  readonly tier: Tier;
  readonly slots: TierSlots;
  readonly spool: SpanSpool;
  readonly replayer: Replayer;
  private readonly name: string;
  private readonly backlog: Backlog;
  private readonly appends: BoundedAppends;
  private readonly log: LimitedLog;
  private reportedEvictions = 0;
  private opening: Promise<void> | undefined;

  constructor(options: SpooledTierOptions) {
    const { name, exporter, spool, clock, poisonAttempts, onMoved, divert } = options;
    const { probeIntervalMillis, replayTimeoutMillis, replaySpansPerSecond, maxReplays } = options;
    this.name = name;
    this.spool = spool;
    this.appends = new BoundedAppends(spool);
    const log = new LimitedLog(name === 'hot' ? OWNER : `${OWNER} (${name})`, { clock });
    this.log = log;
    this.tier = new Tier(exporter, clock, options.timeoutMillis, (state) => this.onChange(state));
    this.slots = new TierSlots(exporter.maxConcurrentExports, clock, () => this.replayer.pump());
    this.backlog = new Backlog(spool, clock, log, poisonAttempts, { onMoved, divert });
    this.replayer = new Replayer({
      tier: this.tier,
      slots: this.slots,
      backlog: this.backlog,
      clock,
      log,
      probeIntervalMillis,
      replaySpansPerSecond,
      replayTimeoutMillis,
      maxReplays,
    });
  }

  /** Begins to send what an earlier process has left. Rejects when the spool is required and cannot be used. */
  open(): Promise<void> {
    this.opening ??= this.openSpool();
    return this.opening;
  }

  /** Never rejects; what a spool that hangs is not given has `spool_failed`. */
  async append(batch: SpanBatch): Promise<Appended> {
    if (!this.opening) this.open().catch(() => {}); // logged, and every append says so again
    try {
      const { stored } = await this.appends.append(batch);
      this.arrived();
      this.reportEvictions();
      return { stored: Math.max(0, Math.min(stored, batch.spanCount)), reason: 'spool_full' };
    } catch (thrown) {
      const error = toError(thrown);
      this.log.warn('append', () => `the spool failed to take ${batch.spanCount} spans: ${describeError(error)}`);
      return { stored: 0, reason: 'spool_failed', error };
    }
  }

  /** Spans that have left the spool otherwise than to the destination. */
  get divertedSpans(): number {
    return this.backlog.divertedSpans;
  }

  get waiting(): Waiting | undefined {
    const { size, durable } = this.spool;
    if (size === 0 || durable) return undefined;
    const { state } = this.tier;
    const [why, cause] =
      state.kind === 'down' ? [describeError(state.error), state.error] : ['they are being sent', undefined];
    const where = this.name === 'hot' ? 'in the spool' : `for the ${this.name} tier`;
    return { message: `${size} spans wait ${where}: ${why}`, cause };
  }

  /** Ends what is open: it goes back to the spool. To be called before that is closed. */
  halt(reason: ExportError): Promise<void> {
    this.tier.abort(reason);
    this.slots.turnAway();
    return this.replayer.halt(reason);
  }

  async closeSpool(options: DeadlineOptions): Promise<void> {
    await this.spool.shutdown(options);
    const { shutdown: lost = 0 } = this.spool.stats().dropped;
    if (lost > 0) {
      this.log.warn('shutdown', () => `shut down with ${lost} spans in the spool: dropped`);
    }
  }

  private async openSpool(): Promise<void> {
    if (!this.spool.open) return;
    try {
      await this.spool.open(() => this.arrived());
    } catch (thrown) {
      this.log.warn('open', () => `the spool cannot be used: ${describeError(toError(thrown))}`);
      throw thrown;
    }
    if (this.spool.size > 0) this.arrived();
  }

  private arrived(): void {
    this.backlog.arrived();
    this.replayer.pump();
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

  private onChange(state: TierState): void {
    if (state.kind === 'down') {
      this.slots.turnAway();
      this.log.warn(
        'down',
        () => `the ${this.name} tier is down, spans go to the spool: ${describeError(state.error)}`,
      );
    } else {
      this.log.warn('up', () => `the ${this.name} tier is back; ${this.spool.size} spans wait to be replayed`);
    }
    this.replayer.stateChanged();
  }
}
