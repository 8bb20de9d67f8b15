import {
  createInstruments,
  type DeadlineOptions,
  describeError,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  type Instruments,
  LimitedLog,
  readOptions,
  type SpanBatch,
  SpanBatchExporterBase,
  systemClock,
} from '@otel-resilience/core';
import { isPanic } from './ejection.js';
import { Endpoint, type EndpointStatus } from './endpoint.js';
import { FailoverCall, type FailoverCallOptions } from './failover-call.js';
import { nameEndpoints } from './name-endpoints.js';
import { FAILOVER_SCHEMA, type FailoverEvent, type FailoverSpanExporterOptions } from './options.js';
import { createStrategy, leastRecentlyAttempted, type RankEndpoints } from './strategies.js';

export interface FailoverStats {
  /** Times that spans which one endpoint did not take were handed to another. */
  readonly failovers: number;
  /** Calls that came to the last resort. */
  readonly lastResorts: number;
}

interface OpenCall {
  readonly call: FailoverCall;
  readonly ended: Promise<ExportOutcome>;
}

/**
 * Several exporters of which one suffices: a failing endpoint is left at once for the next.
 *
 *     Failover ─┬─ CircuitBreaker ─ leaf A
 *               └─ CircuitBreaker ─ leaf B
 *
 * A call asks each endpoint at most once, in the order of the strategy, and passes over those whose breaker is open
 * or who have asked to be left alone. When nobody could be asked, it offers the spans once more as a last resort
 * (`context.lastResort`), which an open breaker admits once per 500 ms: so an outage of all endpoints ends. A caller
 * that sets `lastResort` itself goes straight there. Nothing here waits: that is the retry layer's.
 *
 * An endpoint that acknowledges spans after their attempt was given up is slow, not dead: it gets more time from then
 * on, and `context.onLateAcknowledgement` is told.
 *
 * Throws `ConfigurationError` for a wrong option.
 */
export class FailoverSpanExporter extends SpanBatchExporterBase {
  private readonly all: readonly Endpoint[];
  private readonly rank: RankEndpoints;
  private readonly maxEjectionRatio: number;
  private readonly onFailover: ((event: FailoverEvent) => void) | undefined;
  private readonly callOptions: FailoverCallOptions;
  private readonly instruments: Instruments;
  private readonly log: LimitedLog;
  private readonly unpublish: (() => void) | undefined;
  private readonly open = new Set<OpenCall>();
  private ended: Promise<void> | undefined;
  private turns = 0;
  private failovers = 0;
  private lastResorts = 0;

  constructor(options: FailoverSpanExporterOptions) {
    const read = readOptions('FailoverSpanExporter', options, FAILOVER_SCHEMA);
    const { clock = systemClock, attemptTimeoutMillis, signals } = read;
    const endpoints = read.endpoints.map((settings) => new Endpoint(settings, clock, attemptTimeoutMillis));
    super({ children: endpoints.map(({ exporter }) => exporter), clock });
    this.all = endpoints;
    this.rank = createStrategy(read.strategy, { clock, random: read.random });
    this.maxEjectionRatio = read.maxEjectionRatio;
    this.onFailover = read.onFailover;
    this.callOptions = {
      clock,
      nextTurn: () => ++this.turns,
      onFailure: () => signals?.changed(),
      onFailover: (from, to, { failure, error }, spanCount) => {
        from.failovers++;
        this.report({ from: from.name, to: to.name, failure, error, spanCount });
      },
    };
    this.unpublish = signals?.publish('failedEndpoints', () => {
      return endpoints.filter(({ isFailed }) => isFailed).length / endpoints.length;
    });
    const observed: Parameters<typeof createInstruments>[1] = [
      {
        kind: 'counter',
        name: 'otel_resilience.exporter.failovers',
        unit: '{failover}',
        description: 'Times that spans which this endpoint did not take were handed to another.',
        read: (report) => {
          for (const { name, failovers } of endpoints) report(failovers, { 'otel_resilience.endpoint': name });
        },
      },
    ];
    this.instruments = createInstruments('FailoverSpanExporter', observed, { enabled: read.metrics });
    this.log = new LimitedLog(this.instruments.componentName, { clock });
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    this.instruments.refresh();
    const call = new FailoverCall(batch, context, this.callOptions);
    const open: OpenCall = { call, ended: this.ask(call, context.lastResort === true) };
    this.open.add(open);
    try {
      return nameEndpoints(await open.ended, call.asked);
    } finally {
      this.open.delete(open);
    }
  }

  /** A snapshot of the endpoints, in the order they were given. */
  endpoints(): EndpointStatus[] {
    return this.all.map((endpoint) => endpoint.status());
  }

  /** Counts since construction; a copy. */
  stats(): FailoverStats {
    const { failovers, lastResorts } = this;
    return { failovers, lastResorts };
  }

  /** No further endpoint is asked; what is with one already has until the deadline. */
  override shutdown(options?: DeadlineOptions): Promise<void> {
    this.ended ??= super.shutdown(options).then(() => {
      for (const { call } of this.open) call.cancel(this.shutdownSignal.reason);
    });
    return this.ended;
  }

  protected override async onFlush(): Promise<void> {
    await Promise.allSettled([...this.open].map(({ ended }) => ended));
  }

  protected override async onShutdown(): Promise<void> {
    this.unpublish?.();
    this.instruments.shutdown();
  }

  private async ask(call: FailoverCall, lastResort: boolean): Promise<ExportOutcome> {
    if (!lastResort) {
      const ready = this.all.filter((endpoint) => !endpoint.refusal());
      // The others come last: while these are being asked, a breaker may let calls through again.
      const others = this.all.filter((endpoint) => !ready.includes(endpoint));
      const outcome = await call.offer([...this.rank(ready), ...others], { lastResort });
      if (outcome) return outcome;
      if (call.asked.size > 0 && !isPanic(this.all, this.maxEjectionRatio)) return call.giveUp();
    }
    const unasked = this.all.filter((endpoint) => !call.asked.has(endpoint));
    if (unasked.length > 0) this.lastResorts++;
    return (await call.offer(leastRecentlyAttempted(unasked), { lastResort: true })) ?? call.giveUp();
  }

  private report(event: FailoverEvent): void {
    this.failovers++;
    const { from, to, failure, error, spanCount } = event;
    this.log.warn(
      'failover',
      () => `${from} failed (${failure}: ${describeError(error)}), ${spanCount} spans to ${to}`,
    );
    try {
      this.onFailover?.(event);
    } catch (thrown) {
      this.log.warn('onFailover', () => `onFailover threw ${String(thrown)}`);
    }
  }
}
