import type { ResilienceStatus } from '@otel-resilience/node';

/** What the live view shows of our pipeline. */
export interface PipelineView {
  readonly breakers: readonly { readonly name: string; readonly state: string }[];
  readonly hot: 'up' | 'down';
  readonly queued: number;
  readonly inFlight: number;
  readonly spooled: number;
  readonly delivered: number;
  readonly balanced: boolean;
}

export interface LedgerReport {
  readonly balanced: boolean;
  /** The first snapshot that did not add up. */
  readonly offending: ResilienceStatus | undefined;
  readonly samples: number;
  readonly longestGapMillis: number;
  readonly totals: ResilienceStatus['totals'];
}

// Well below the 100 ms that are promised, for the times when the event loop is late.
const INTERVAL_MILLIS = 20;

/** Checks the ledger again and again, through faults, recovery and shutdown. */
export class LedgerWatch {
  private readonly status: () => ResilienceStatus;
  private readonly timer: NodeJS.Timeout;
  private offending: ResilienceStatus | undefined;
  private samples = 0;
  private sampledAt = performance.now();
  private longestGapMillis = 0;

  constructor(status: () => ResilienceStatus) {
    this.status = status;
    this.timer = setInterval(() => this.sample(), INTERVAL_MILLIS);
  }

  view(): PipelineView {
    const { endpoints, tiered, processor, totals } = this.sample();
    return {
      breakers: endpoints.map(({ name, state }) => ({ name, state })),
      hot: tiered.hot.kind,
      queued: processor.ledger.queued,
      inFlight: processor.ledger.inFlight,
      spooled: tiered.spool.waiting,
      delivered: totals.delivered,
      balanced: this.offending === undefined,
    };
  }

  end(): LedgerReport {
    clearInterval(this.timer);
    const { totals } = this.sample();
    const { offending, samples, longestGapMillis } = this;
    return { balanced: offending === undefined, offending, samples, longestGapMillis, totals };
  }

  private sample(): ResilienceStatus {
    const status = this.status();
    const now = performance.now();
    this.longestGapMillis = Math.max(this.longestGapMillis, now - this.sampledAt);
    this.sampledAt = now;
    this.samples++;
    if (!status.balanced) this.offending ??= status;
    return status;
  }
}
