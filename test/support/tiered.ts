import {
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { fakeSpan, fakeSpans, type OutcomeStep, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import {
  MemorySpool,
  type SpanSpool,
  TieredSpanExporter,
  type TieredSpanExporterOptions,
} from '@otel-resilience/tiered';

/** Set-ups for the tests of the tiered exporter. */

const BYTES_PER_SPAN = 100;

export const batchOf = (spans: number): SpanBatch =>
  SpanBatch.fromSpans(fakeSpans(spans), { byteLength: BYTES_PER_SPAN * spans });

const namedBatch = (name: string, spans: number, byteLength: number): SpanBatch =>
  SpanBatch.fromSpans(
    Array.from({ length: spans }, () => fakeSpan({ name })),
    { byteLength },
  );

interface SetUpOptions extends Partial<TieredSpanExporterOptions> {
  /** What hot bears at a time. */
  readonly slots?: number;
}

/** Over a hot tier that follows a script. */
export function setUpScripted(respond: OutcomeStep, options: SetUpOptions = {}) {
  const { slots: maxConcurrentExports, ...rest } = options;
  const clock = new VirtualClock();
  const hot = new ScriptedBatchExporter({ otherwise: respond, maxConcurrentExports, clock });
  const spool = new MemorySpool();
  const tiered = new TieredSpanExporter({ hot, spool, clock, ...rest });
  const send = (spans = 1, context: Partial<ExportContext> = {}) =>
    tiered.exportBatch(batchOf(spans), {
      signal: new AbortController().signal,
      deadline: clock.now() + 30_000,
      ...context,
    });
  return { clock, hot, spool, tiered, send };
}

/** Over a hot tier that takes, refuses or swallows by name; with batches too large to be joined, unless it has a spool. */
export function setUpLeaf(options: SetUpOptions = {}) {
  const { slots = 30, ...rest } = options;
  const clock = new VirtualClock();
  const hot = new Leaf(clock, slots);
  const spool = new MemorySpool({ maxBytes: 1e10 });
  const bytesOf = (spans: number) => (rest.spool ? BYTES_PER_SPAN * spans : 600_000);
  const tiered = new TieredSpanExporter({ hot, spool, clock, ...rest });
  const send = (name: string, spans = 1) =>
    tiered.exportBatch(namedBatch(name, spans, bytesOf(spans)), {
      signal: new AbortController().signal,
      deadline: clock.now() + 30_000,
    });
  /** Sends one batch after the other, `everyMillis`, for a while. */
  const load = (millis: number, everyMillis: number, spans = 1, prefix = 'live') => {
    const endBy = clock.now() + millis;
    let sent = 0;
    const next = () => {
      if (clock.now() >= endBy) return;
      send(`${prefix}${sent++}`, spans);
      clock.setTimeout(next, everyMillis);
    };
    next();
  };
  const isUp = () => tiered.stats().hot.kind === 'up';
  return { clock, hot, spool, tiered, send, load, isUp };
}

type Does = 'take' | 'refuse' | 'swallow';
type Behaviour = Does | ((name: string) => Does);

/** A leaf that takes, refuses or swallows batches by the names in them, and knows when it took which. */
export class Leaf extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports: number;
  behaviour: Behaviour = 'take';
  latencyMillis = 20;
  readonly calls: Array<{ name: string; at: number; spans: number; does: Does; lastResort: boolean }> = [];
  /** A row for each name in a batch. */
  readonly taken: Array<{ name: string; at: number; spans: number }> = [];
  open = 0;
  maxOpen = 0;

  constructor(clock: VirtualClock, maxConcurrentExports: number) {
    super({ clock });
    this.maxConcurrentExports = maxConcurrentExports;
  }

  async exportBatch(batch: SpanBatch, { signal, lastResort = false }: ExportContext): Promise<ExportOutcome> {
    const spansByName = new Map<string, number>();
    for (const { name } of batch.spans()) spansByName.set(name, (spansByName.get(name) ?? 0) + 1);
    const names = [...spansByName.keys()];
    const does = this.doesTo(names);
    this.calls.push({ name: names[0]!, at: this.clock.now(), spans: batch.spanCount, does, lastResort });
    this.maxOpen = Math.max(this.maxOpen, ++this.open);
    const outcome = await new Promise<ExportOutcome>((resolve) => {
      const fail = (message: string) => resolve(failedOutcome(batch, 'retryable', new Error(message)));
      signal.addEventListener('abort', () => fail('aborted'));
      if (does === 'refuse') this.clock.setTimeout(() => fail('ECONNREFUSED'), 1);
      if (does !== 'take') return;
      this.clock.setTimeout(() => {
        if (signal.aborted) return;
        const at = this.clock.now();
        for (const [name, spans] of spansByName) this.taken.push({ name, at, spans });
        resolve(deliveredOutcome(batch.spanCount));
      }, this.latencyMillis);
    });
    this.open--;
    return outcome;
  }

  /** One span that it does not take is enough. */
  private doesTo(names: readonly string[]): Does {
    const { behaviour } = this;
    if (typeof behaviour !== 'function') return behaviour;
    return names.map(behaviour).find((does) => does !== 'take') ?? 'take';
  }

  get takenNames(): string[] {
    return this.taken.map(({ name }) => name);
  }
}

/** A spool that is a memory spool but for what differs. */
export function spoolThat(differs: Partial<SpanSpool>, spool: MemorySpool = new MemorySpool()): SpanSpool {
  return {
    append: (batch) => spool.append(batch),
    lease: () => spool.lease(),
    get size() {
      return spool.size;
    },
    get bytes() {
      return spool.bytes;
    },
    maxBytes: spool.maxBytes,
    durable: false,
    stats: () => spool.stats(),
    shutdown: async () => {},
    ...differs,
  };
}
