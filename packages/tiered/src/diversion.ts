import {
  deliveredOutcome,
  type ExportOutcome,
  followedBy,
  rejectedOutcome,
  SpanBatch,
  storedOutcome,
} from '@otel-resilience/core';
import type { Archives } from './archive-tier/archives.js';
import type { Router } from './routing/router.js';
import type { TierName } from './routing/routing-rules.js';
import type { SpanSpool } from './spool/spool.js';

/** Takes spans of a batch that are not to be sent from here any more: which are left, and what became of the others. */
export type Diversion = (batch: SpanBatch) => Promise<Diverted | undefined>;

export interface Diverted {
  readonly rest: SpanBatch | undefined;
  /** Without a `remaining`. */
  readonly outcome: ExportOutcome;
}

export interface DiversionOptions {
  readonly router: Router;
  readonly archives: Archives;
  /** Where they wait. */
  readonly spool: SpanSpool;
  readonly shutdownSignal: AbortSignal;
}

/** What is in hot's spool, and by now has to go elsewhere. An archive that cannot take it leaves it to hot. */
export function diversionToArchives({ router, archives, spool, shutdownSignal }: DiversionOptions): Diversion {
  // Of what an earlier process has left, nobody knows whether its copies have been archived.
  const keepsCopies = (tier: TierName) => spool.stats().recovered === 0 && archives.hasAll(tier, spool.durable);
  return async (batch) => {
    // What waits where it survives is not put where it might not, when there is little time.
    if (shutdownSignal.aborted && spool.durable) return undefined;
    const parts = router.diverted(batch, keepsCopies);
    if (!parts) return undefined;
    const staying: SpanBatch[] = [];
    let outcome = deliveredOutcome(0);
    for (const [route, part] of parts) {
      const isArchived = !route.hot && route.tiers.length === 0;
      const stored = isArchived ? part.spanCount : route.hot ? 0 : await archives.divert(route, part, spool.durable);
      if (stored === 0) staying.push(part);
      else outcome = followedBy(outcome, followedBy(storedOutcome(stored), rejectedOutcome(part.spanCount - stored)));
    }
    return { rest: staying.length > 0 ? SpanBatch.join(staying) : undefined, outcome };
  };
}
