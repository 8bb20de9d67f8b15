import {
  type Clock,
  deliveredOutcome,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  type SpanBatch,
  SpanBatchExporterBase,
  sleep,
  systemClock,
} from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import type { LedgerCheckpoint, Spool } from '@otel-resilience/tiered';
import { TieredSpanExporter } from '@otel-resilience/tiered';
import { makeCheckpoint } from '../../packages/node/src/spool.js';
import { fakeSpan } from '../../packages/testing/src/fake-span.js';
import type { Random } from '../invariants/unbiased/random.js';

/** Where the process says what it does. */
export type Say = (what: string, ...values: ReadonlyArray<string | number>) => void;

export interface EndingSpansOptions {
  readonly spool: Spool;
  readonly random: Random;
  readonly say: Say;
  readonly nextId: () => number;
}

const MANY = 300;

/**
 * The pipeline as the preset wires it, in front of the spool: a process ends spans, which wait in the queue, are on the
 * way to a receiver or in the spool when it is killed, and the checkpoint has to know how many of them are lost.
 */
export class EndingSpans {
  private readonly options: EndingSpansOptions;
  private readonly receiver: Receiver;
  private readonly processor: AdaptiveBatchSpanProcessor;
  private readonly checkpoint: LedgerCheckpoint;

  constructor(options: EndingSpansOptions) {
    const { spool, random, say } = options;
    this.options = options;
    this.receiver = new Receiver(random, say);
    const exporter = new TieredSpanExporter({ hot: this.receiver, spool });
    this.processor = new AdaptiveBatchSpanProcessor({ exporter, scheduledDelayMillis: 2, metrics: false });
    const { processor } = this;
    const books = {
      stats: () => {
        const stats = processor.stats();
        const { held, queued, inFlight } = stats.ledger;
        // And the one that is ending.
        say('unsettled', held + queued + inFlight + 1);
        return stats;
      },
      witness: processor.witness.bind(processor),
    };
    this.checkpoint = makeCheckpoint(spool, books as AdaptiveBatchSpanProcessor, exporter, systemClock)!;
  }

  /** Says what earlier processes have lost. */
  start(): void {
    this.checkpoint.start();
    const { processes, atMost, unbounded = 0 } = this.checkpoint.lostToCrash ?? { processes: 0, atMost: 0 };
    this.options.say('lost', processes, atMost);
    // They were killed, and their machine was not.
    if (unbounded > 0) this.options.say('trouble', 'unbounded', unbounded);
  }

  async run(): Promise<void> {
    const { random, say, nextId } = this.options;
    for (let left = random.integer(1, 4); left > 0; left--) {
      this.receiver.isUp = random.chance(0.5);
      const ids = Array.from({ length: random.chance(0.04) ? MANY : random.integer(1, 20) }, nextId);
      say('ending', ...ids);
      for (const id of ids) {
        this.processor.onEnd(fakeSpan({ index: id, name: String(id), attributes: {}, events: [] }));
        say('ended', id);
      }
      if (random.chance(0.7)) await sleep(systemClock, random.exponential(2));
      else await this.processor.forceFlush();
    }
    const { ledger } = this.processor.stats();
    if (!ledger.balanced) say('trouble', 'unbalanced', JSON.stringify(ledger));
    for (const [reason, spans] of Object.entries(ledger.dropped)) say('trouble', 'dropped', reason, spans);
  }

  /** The spool too. */
  async shutdown(): Promise<void> {
    await this.processor.shutdown();
    this.checkpoint.close();
  }
}

/** Says what it has received before it answers, if it does. */
class Receiver extends SpanBatchExporterBase {
  override readonly prefers = 'bytes';
  override readonly maxConcurrentExports = 5;
  isUp = true;
  private readonly random: Random;
  private readonly say: Say;

  constructor(random: Random, say: Say, clock: Clock = systemClock) {
    super({ clock });
    this.random = random;
    this.say = say;
  }

  async exportBatch(batch: SpanBatch): Promise<ExportOutcome> {
    const { random } = this;
    if (random.chance(0.5)) await sleep(this.clock, random.exponential(2));
    if (!this.isUp) return failedOutcome(batch, 'retryable', new Error('down'));
    const ids = batch.spans().map(({ name }) => name);
    const taken = random.chance(0.9) ? ids.length : random.integer(0, ids.length);
    if (taken > 0) this.say('received', ...ids.slice(0, taken));
    const delivered = deliveredOutcome(taken);
    if (taken === ids.length) return delivered;
    return followedBy(delivered, failedOutcome(batch.slice(taken), 'retryable', new Error('taken in part')));
  }
}
