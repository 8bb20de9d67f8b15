import { type ExportOutcome, totalDropped } from './export-outcome.js';

/** Why a processor gave a span up. */
export type DropReason = 'queue_full' | 'shutdown' | 'export_failed' | 'export_timeout' | (string & {});

/** Every ended span is in exactly one of the states below; `ended` is their sum. */
export interface LedgerSnapshot {
  readonly ended: number;
  readonly unsampled: number;
  readonly held: number;
  readonly queued: number;
  readonly inFlight: number;
  readonly delivered: number;
  readonly rejected: number;
  readonly handedToSpool: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** Whether the identity holds. False is a bug of ours, and never hidden. */
  readonly balanced: boolean;
  /** Counted beside, not part of the identity. */
  readonly beside: {
    /** Spans handed to the exporter so far. */
    readonly dispatched: number;
    /** Spans dropped before that, by reason. */
    readonly neverDispatched: Readonly<Record<string, number>>;
    /** Spans of outcomes that came after their batch had been settled. */
    readonly lateOutcomes: number;
    /** Spans acknowledged by such a late outcome: delivered although counted otherwise. */
    readonly lateAcknowledged: number;
  };
}

/**
 * The processor's ledger, a state machine.
 *
 *     end → unsampled | held | queued | dropped     held → unsampled | queued
 *     queued → inFlight | dropped                   inFlight → delivered | rejected | handedToSpool | dropped
 *
 * Every transition moves a count from one state to another; nothing else writes to it.
 */
export class Ledger {
  private ended = 0;
  private unsampled = 0;
  private held = 0;
  private queued = 0;
  private inFlight = 0;
  private delivered = 0;
  private rejected = 0;
  private handedToSpool = 0;
  private readonly dropped: Record<string, number> = {};
  private dispatched = 0;
  private readonly neverDispatched: Record<string, number> = {};
  private lateOutcomes = 0;
  private lateAcknowledged = 0;
  private limit = Number.POSITIVE_INFINITY;
  private extend: (ended: number) => number = () => Number.POSITIVE_INFINITY;

  /**
   * From here on `extend` is called when one more span than `limit` has ended, before anybody hears of it; it returns
   * the next limit. For who has to write down how many may have ended.
   */
  witness(limit: number, extend: (ended: number) => number): void {
    this.limit = limit;
    this.extend = extend;
  }

  endUnsampled(): void {
    this.end();
    this.unsampled++;
  }

  endHeld(): void {
    this.end();
    this.held++;
  }

  endQueued(): void {
    this.end();
    this.queued++;
  }

  endDropped(reason: DropReason): void {
    this.end();
    add(this.dropped, reason, 1);
    add(this.neverDispatched, reason, 1);
  }

  releaseUnsampled(spans: number): void {
    this.held -= spans;
    this.unsampled += spans;
  }

  releaseQueued(spans: number): void {
    this.held -= spans;
    this.queued += spans;
  }

  dropQueued(spans: number, reason: DropReason): void {
    this.queued -= spans;
    add(this.dropped, reason, spans);
    add(this.neverDispatched, reason, spans);
  }

  /** queued → inFlight. The token settles these spans, once. */
  dispatch(spans: number): BatchToken {
    this.queued -= spans;
    this.inFlight += spans;
    this.dispatched += spans;
    let open = true;
    return {
      settle: (outcome) => {
        if (!open) {
          this.lateOutcomes += spans;
          this.lateAcknowledged += outcome.delivered;
          return false;
        }
        open = false;
        this.settle(outcome);
        return true;
      },
    };
  }

  snapshot(): LedgerSnapshot {
    const { ended, unsampled, held, queued, inFlight, delivered, rejected, handedToSpool } = this;
    const dropped = { ...this.dropped };
    const states = [unsampled, held, queued, inFlight, delivered, rejected, handedToSpool, totalDropped(dropped)];
    const balanced = ended === states.reduce((sum, count) => sum + count, 0) && states.every((count) => count >= 0);
    const { dispatched, lateOutcomes, lateAcknowledged } = this;
    const beside = { dispatched, neverDispatched: { ...this.neverDispatched }, lateOutcomes, lateAcknowledged };
    return { ended, unsampled, held, queued, inFlight, delivered, rejected, handedToSpool, dropped, balanced, beside };
  }

  private end(): void {
    if (++this.ended > this.limit) this.limit = this.extend(this.ended);
  }

  private settle(outcome: ExportOutcome): void {
    const remaining = outcome.remaining?.spanCount ?? 0;
    this.inFlight -= outcome.delivered + outcome.rejected + outcome.stored + totalDropped(outcome.dropped) + remaining;
    this.delivered += outcome.delivered;
    this.rejected += outcome.rejected;
    this.handedToSpool += outcome.stored;
    for (const reason in outcome.dropped) add(this.dropped, reason, outcome.dropped[reason]!);
    if (outcome.remaining) add(this.dropped, outcome.failure === 'shutdown' ? 'shutdown' : 'export_failed', remaining);
  }
}

function add(counts: Record<string, number>, reason: string, spans: number): void {
  if (spans > 0) counts[reason] = (counts[reason] ?? 0) + spans;
}

export interface BatchToken {
  /**
   * The first outcome decides the fate of the batch's spans; what `remaining` holds is dropped as `export_failed`
   * (`shutdown` when that was the failure). Returns false, and only counts, for every later one.
   */
  settle(outcome: ExportOutcome): boolean;
}

/** A spool's own ledger: `accepted + recovered = waiting + delivered + rejected + Σ dropped`. */
export interface SpoolLedgerSnapshot {
  readonly accepted: number;
  readonly recovered: number;
  readonly waiting: number;
  readonly delivered: number;
  readonly rejected: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly balanced: boolean;
}

/** Why a spool gave a span up. */
export type SpoolDropReason = 'full' | 'expired' | 'corrupt' | 'poison' | 'shutdown';

export class SpoolLedger {
  private accepted = 0;
  private recovered = 0;
  private waiting = 0;
  private delivered = 0;
  private rejected = 0;
  private readonly dropped: Partial<Record<SpoolDropReason, number>> = {};

  accept(spans: number): void {
    this.accepted += spans;
    this.waiting += spans;
  }

  recover(spans: number): void {
    this.recovered += spans;
    this.waiting += spans;
  }

  deliver(spans: number): void {
    this.waiting -= spans;
    this.delivered += spans;
  }

  reject(spans: number): void {
    this.waiting -= spans;
    this.rejected += spans;
  }

  drop(spans: number, reason: SpoolDropReason): void {
    if (spans === 0) return;
    this.waiting -= spans;
    this.dropped[reason] = (this.dropped[reason] ?? 0) + spans;
  }

  snapshot(): SpoolLedgerSnapshot {
    const { accepted, recovered, waiting, delivered, rejected } = this;
    const dropped = { ...this.dropped };
    const balanced = waiting >= 0 && accepted + recovered === waiting + delivered + rejected + totalDropped(dropped);
    return { accepted, recovered, waiting, delivered, rejected, dropped, balanced };
  }
}
