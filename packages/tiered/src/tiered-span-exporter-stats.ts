import type { SpoolLedgerSnapshot } from '@otel-resilience/core';
import type { ArchiveTierStats } from './archive-tier/archive-tier.js';
import type { TierStatus } from './tier-status.js';

export interface TieredSpanExporterStats {
  readonly hot: TierStatus;
  /** How long it may keep a live batch by now: what was configured, or what it has turned out to need. */
  readonly hotTimeoutMillis: number;
  /** Live exports that have not been answered. */
  readonly openExports: number;
  /** Replays and probes that have not been answered. */
  readonly openReplays: number;
  /** Spans of live batches that went to a spool, as `handedToSpool`: hot's, or that of an archive which has them alone. */
  readonly spilledSpans: number;
  /** Spans acknowledged out of the spool. */
  readonly replayedSpans: number;
  readonly probes: number;
  /** Spans acknowledged after their attempt had been given up: they are sent twice. */
  readonly lateAcknowledged: number;
  /** Spans a slow spool stored after their export had been answered: counted there and as dropped. */
  readonly lateStored: number;
  /** Spans that left the spool for archives, since the rules say so by now; its books count them as delivered. */
  readonly divertedSpans: number;
  readonly spool: SpoolLedgerSnapshot & { readonly bytes: number; readonly maxBytes: number };
  /** The archives that were given. */
  readonly warm: ArchiveTierStats | undefined;
  readonly cold: ArchiveTierStats | undefined;
}
