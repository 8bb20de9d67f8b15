import {
  ConfigurationError,
  type DeadlineOptions,
  type ExportOutcome,
  type OptionReader,
  type SpanBatch,
  type SpoolLedgerSnapshot,
} from '@otel-resilience/core';

/** What became of an appended batch: `stored + dropped` is its `spanCount`. */
export interface SpoolAppend {
  /** Accepted: the spool answers for these spans from here on. */
  readonly stored: number;
  /** Not accepted, now or ever: they are no part of the spool's ledger. */
  readonly dropped: number;
}

/** A batch taken out to be sent. It is waiting still, and never evicted, until it is settled. */
export interface SpoolLease {
  readonly batch: SpanBatch;
  /**
   * Says what became of the batch; only the first call counts. Delivered and rejected spans leave the spool, and so
   * does a `remaining` whose failure is `permanent` (as rejected); any other `remaining` goes back to the place it
   * came from, so that the oldest is leased first again. `dropped.poison` and `dropped.shutdown` are counted as such.
   * A receiver that stored spans answers for them: they count as delivered. Any other drop of its own: rejected.
   */
  settle(outcome: ExportOutcome): void;
}

/**
 * Where batches wait until they can be sent. One exporter owns a spool.
 *
 *     accepted + recovered = waiting + delivered + rejected + Σ dropped{full, expired, corrupt, poison, shutdown}
 *
 * What was evicted to make room is `dropped.full` in the spool's own ledger, never part of an append's answer.
 */
export interface SpanSpool {
  /**
   * Recovers what an earlier process has left; `append` and `lease` work without, or wait for it. `onArrival` is called
   * when something can be leased later on that nobody has appended. Rejects when the spool cannot be used at all.
   */
  open?(onArrival?: () => void): Promise<void>;
  append(batch: SpanBatch): Promise<SpoolAppend>;
  /** The oldest batch that is not leased, or `undefined`. */
  lease(): Promise<SpoolLease | undefined>;
  /** Spans waiting, leased ones included. */
  readonly size: number;
  /** Bytes held, leased ones included; never more than `maxBytes`. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Whether what `append` has acknowledged survives the process. */
  readonly durable: boolean;
  stats(): SpoolLedgerSnapshot;
  /**
   * Takes no more. What waits is kept where the spool is durable, and `dropped.shutdown` where it is not. Resolves by the
   * deadline, if there is one.
   */
  shutdown(options?: DeadlineOptions): Promise<void>;
}

/** Reads an option that takes a spool: one of ours, or anything with the methods of {@link SpanSpool}. */
export const anySpool =
  (makeDefault: () => SpanSpool): OptionReader<SpanSpool> =>
  (value, path) => {
    if (value === undefined) return makeDefault();
    if (isSpool(value)) return value;
    throw new ConfigurationError(path, 'a spool (with append, lease, stats and shutdown)', value);
  };

function isSpool(value: unknown): value is SpanSpool {
  if (typeof value !== 'object' || value === null) return false;
  const { append, lease, stats, shutdown } = value as Record<string, unknown>;
  return [append, lease, stats, shutdown].every((method) => typeof method === 'function');
}
