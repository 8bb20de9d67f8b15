import {
  accountedFor,
  type ExportOutcome,
  positiveInteger,
  readOptions,
  SpanBatch,
  SpoolLedger,
  type SpoolLedgerSnapshot,
} from '@otel-resilience/core';
import { countOutcome } from './count-outcome.js';
import type { SpanSpool, SpoolAppend, SpoolLease } from './spool.js';

export interface MemorySpoolOptions {
  /**
   * Bytes it may hold, leased batches included, by the batches' encoded size; default 67,108,864 (64 MiB),
   * at least 1. A batch that is held as SDK spans takes about 2.4 times its encoded size on the heap.
   */
  readonly maxBytes?: number;
}

/**
 * Small batches that wait one after the other are leased as one, as large as this: as many spans as the processor puts
 * into a batch at most, a quarter of what collectors take in a request, and a share of the spool, since a leased batch
 * cannot be evicted.
 */
const MAX_JOINED_SPANS = 1_000;
const MAX_JOINED_BYTES = 1024 * 1024;
const MAX_JOINED_SHARE = 1 / 16;

const SCHEMA = { maxBytes: positiveInteger({ default: 64 * 1024 * 1024 }) };

interface Entry {
  batch: SpanBatch;
  /** As counted when it came: a batch's own `byteLength` changes when it is encoded. */
  bytes: number;
  readonly sequence: number;
  next: Entry | undefined;
}

/**
 * A spool that lives and dies with the process. Full, it evicts the oldest batches that are not leased
 * (`dropped.full`); it refuses a batch that would not fit even then. Small batches are leased together: a process that
 * flushes after every span leaves thousands of them. Every operation takes constant time, whatever waits; a lease takes
 * a step per batch it joins, and putting a batch back one per batch that is older and waits again.
 *
 * @throws ConfigurationError when `maxBytes` is not a positive integer.
 */
export class MemorySpool implements SpanSpool {
  readonly maxBytes: number;
  readonly durable: boolean = false;
  private readonly ledger = new SpoolLedger();
  // The batches that are not leased, oldest first.
  private head: Entry | undefined;
  private tail: Entry | undefined;
  private waitingBytes = 0;
  private leasedBytes = 0;
  private sequence = 0;
  private closed = false;

  constructor(options: MemorySpoolOptions = {}) {
    this.maxBytes = readOptions('MemorySpool', options, SCHEMA).maxBytes;
  }

  get size(): number {
    return this.ledger.snapshot().waiting;
  }

  get bytes(): number {
    return this.waitingBytes + this.leasedBytes;
  }

  async append(batch: SpanBatch): Promise<SpoolAppend> {
    const { spanCount, byteLength: bytes } = batch;
    if (this.closed || this.leasedBytes + bytes > this.maxBytes) return { stored: 0, dropped: spanCount };
    this.ledger.accept(spanCount);
    const entry: Entry = { batch, bytes, sequence: this.sequence++, next: undefined };
    if (this.tail) this.tail.next = entry;
    else this.head = entry;
    this.tail = entry;
    this.waitingBytes += bytes;
    this.makeRoom();
    return { stored: spanCount, dropped: 0 };
  }

  async lease(): Promise<SpoolLease | undefined> {
    if (this.closed) return undefined;
    const entries = this.takeJoined();
    if (entries.length === 0) return undefined;
    const batch = SpanBatch.join(entries.map((entry) => entry.batch));
    let open = true;
    return {
      batch,
      settle: (outcome) => {
        if (!open) return;
        open = false;
        this.settle(entries, batch.spanCount, outcome);
      },
    };
  }

  stats(): SpoolLedgerSnapshot {
    return this.ledger.snapshot();
  }

  async shutdown(): Promise<void> {
    this.closed = true;
    for (let entry = this.takeOldest(); entry; entry = this.takeOldest()) {
      this.ledger.drop(entry.batch.spanCount, 'shutdown');
    }
  }

  /** `entries` were leased as one. */
  private settle(entries: readonly Entry[], spanCount: number, outcome: ExportOutcome): void {
    for (const { bytes } of entries) this.leasedBytes -= bytes;
    // An outcome that does not add up says nothing: the whole batch waits on.
    if (accountedFor(outcome) !== spanCount) {
      this.putBack(entries);
      return;
    }
    countOutcome(this.ledger, outcome);
    const { remaining } = outcome;
    if (!remaining || outcome.failure === 'permanent') return;
    if (remaining.spanCount === spanCount) this.putBack(entries);
    else if (remaining.spanCount > 0) {
      this.putBack([{ ...entries[0]!, batch: remaining, bytes: remaining.byteLength }]);
    }
  }

  private putBack(entries: readonly Entry[]): void {
    // The newest first, so that each is found at the head.
    for (let i = entries.length - 1; i >= 0; i--) this.insert(entries[i]!);
    // Only an estimate that grew can have made it too much.
    this.makeRoom();
  }

  private insert(entry: Entry): void {
    if (this.closed) {
      this.ledger.drop(entry.batch.spanCount, 'shutdown');
      return;
    }
    let before: Entry | undefined;
    let after = this.head;
    while (after && after.sequence < entry.sequence) {
      before = after;
      after = after.next;
    }
    entry.next = after;
    if (before) before.next = entry;
    else this.head = entry;
    if (!after) this.tail = entry;
    this.waitingBytes += entry.bytes;
  }

  private makeRoom(): void {
    while (this.bytes > this.maxBytes) {
      const oldest = this.takeOldest();
      if (!oldest) return;
      this.ledger.drop(oldest.batch.spanCount, 'full');
    }
  }

  /** The oldest, with as many of those after it as make a batch of sensible size. */
  private takeJoined(): Entry[] {
    const entries: Entry[] = [];
    const maxBytes = Math.min(MAX_JOINED_BYTES, this.maxBytes * MAX_JOINED_SHARE);
    let spans = 0;
    let bytes = 0;
    for (let entry = this.head; entry; entry = this.head) {
      spans += entry.batch.spanCount;
      bytes += entry.bytes;
      const [first = entry] = entries;
      // To join two forms, bytes would have to be decoded.
      const isOtherForm = first.batch.isEncoded !== entry.batch.isEncoded;
      if (entries.length > 0 && (isOtherForm || spans > MAX_JOINED_SPANS || bytes > maxBytes)) break;
      entries.push(entry);
      this.leasedBytes += entry.bytes;
      this.takeOldest();
    }
    return entries;
  }

  private takeOldest(): Entry | undefined {
    const entry = this.head;
    if (!entry) return undefined;
    this.head = entry.next;
    if (!this.head) this.tail = undefined;
    entry.next = undefined;
    this.waitingBytes -= entry.bytes;
    return entry;
  }
}
