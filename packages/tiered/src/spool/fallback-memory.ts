import {
  deliveredOutcome,
  failedOutcome,
  followedBy,
  rejectedOutcome,
  type SpanBatch,
  type SpoolLedger,
  type SpoolLedgerSnapshot,
  toError,
  totalDropped,
  type UnreadableSpansError,
} from '@otel-resilience/core';
import type { DiskQueue } from './disk-queue.js';
import { MemorySpool } from './memory-spool.js';
import { NO_ROOM } from './pending-frame.js';
import type { SpoolLease } from './spool.js';

export const MAX_MEMORY_BYTES = 64 * 1024 * 1024;

/** Where batches wait while there is no disk to take them, and the books of both together. */
export class FallbackMemory {
  private readonly memory: MemorySpool;
  /** Of the disk. */
  private readonly ledger: SpoolLedger;
  /** Spans that went from one to the other: as if it had delivered them there. Both ledgers have them. */
  private moved = 0;

  constructor(maxBytes: number, ledger: SpoolLedger) {
    this.memory = new MemorySpool({ maxBytes: Math.min(MAX_MEMORY_BYTES, maxBytes) });
    this.ledger = ledger;
  }

  get size(): number {
    return this.memory.size;
  }

  get bytes(): number {
    return this.memory.bytes;
  }

  append(batch: SpanBatch) {
    return this.memory.append(batch);
  }

  lease(): Promise<SpoolLease | undefined> {
    return this.memory.lease();
  }

  /** What the disk had acknowledged, and has lost; what does not fit is dropped for `reason`. */
  keep(batch: SpanBatch, reason: 'full' | 'shutdown'): void {
    const before = this.memory.stats().accepted;
    void this.memory.append(batch);
    const kept = this.memory.stats().accepted - before;
    this.ledger.deliver(kept);
    this.moved += kept;
    this.ledger.drop(batch.spanCount - kept, reason);
  }

  /** Rejects with the disk's error; what does not fit stays here. */
  async moveTo(disk: DiskQueue): Promise<void> {
    for (let lease = await this.memory.lease(); lease; lease = await this.memory.lease()) {
      if (this.settleUnreadable(lease)) continue;
      try {
        await this.move(lease, disk);
      } catch (thrown) {
        lease.settle(failedOutcome(lease.batch, 'refused', toError(thrown)));
        if (thrown === NO_ROOM) return;
        throw thrown;
      }
    }
  }

  stats(): SpoolLedgerSnapshot {
    const { moved } = this;
    const disk = this.ledger.snapshot();
    const memory = this.memory.stats();
    const dropped: Record<string, number> = { ...disk.dropped };
    for (const [reason, spans] of Object.entries(memory.dropped)) dropped[reason] = (dropped[reason] ?? 0) + spans;
    const { recovered } = disk;
    const accepted = disk.accepted + memory.accepted - moved;
    const delivered = disk.delivered + memory.delivered - moved;
    const waiting = disk.waiting + memory.waiting;
    const rejected = disk.rejected + memory.rejected;
    const sum = waiting + delivered + rejected + totalDropped(dropped);
    const balanced = disk.balanced && memory.balanced && accepted + recovered === sum;
    return { accepted, recovered, waiting, delivered, rejected, dropped, balanced };
  }

  /** What is still here is dropped. */
  shutdown(): Promise<void> {
    return this.memory.shutdown();
  }

  private move({ batch, settle }: SpoolLease, disk: DiskQueue): Promise<void> {
    const { spanCount } = batch;
    const onAcknowledged = () => {
      this.ledger.accept(spanCount);
      this.moved += spanCount;
      settle(deliveredOutcome(spanCount));
    };
    return disk.append(batch, onAcknowledged, { needsSync: true });
  }

  /** Nothing was encoded when it came. */
  private settleUnreadable({ batch, settle }: SpoolLease): boolean {
    try {
      const unreadable = unreadableIn(batch);
      if (!unreadable) return false;
      const rest = readablePart(batch, unreadable);
      const rejected = rejectedOutcome(unreadable.size);
      settle(rest ? followedBy(rejected, failedOutcome(rest, 'refused', UNREADABLE)) : rejected);
    } catch {
      settle(rejectedOutcome(batch.spanCount));
    }
    return true;
  }
}

const UNREADABLE = new Error('some spans could not be encoded');

/** The places of spans that cannot be encoded, if there are any. Throws what else the batch throws. */
export function unreadableIn(batch: SpanBatch): ReadonlySet<number> | undefined {
  try {
    batch.otlp();
    return undefined;
  } catch (thrown) {
    const { name, indexes } = thrown as Partial<UnreadableSpansError>;
    if (name === 'UnreadableSpansError' && Array.isArray(indexes)) return new Set(indexes);
    throw thrown;
  }
}

export const readablePart = (batch: SpanBatch, unreadable: ReadonlySet<number>): SpanBatch | undefined =>
  batch.partition((_, index) => !unreadable.has(index)).get(true);
