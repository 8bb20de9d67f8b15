import {
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  type ReadableSpan,
  SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { FailoverSpanExporter, type FailoverSpanExporterOptions } from '@otel-resilience/exporter';
import { VirtualClock } from '@otel-resilience/testing';

export type Answer = (batch: SpanBatch, context: ExportContext) => ExportOutcome | Promise<ExportOutcome>;

export const ok: Answer = (batch) => deliveredOutcome(batch.spanCount);
export const hang: Answer = () => new Promise(() => {});
export const fail =
  (failure: Failure, retryAfterMillis?: number, error = new Error(failure)): Answer =>
  (batch) =>
    failedOutcome(batch, failure, error, retryAfterMillis);

/** An endpoint that does what it is told. */
export class Leaf extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  calls: ExportContext[] = [];
  stopped = 0;
  answer: Answer;

  constructor(answer: Answer = ok) {
    super();
    this.answer = answer;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    this.calls.push(context);
    return this.answer(batch, context);
  }

  protected override async onShutdown(): Promise<void> {
    this.stopped++;
  }
}

export const batch = SpanBatch.fromSpans(Array.from({ length: 10 }, () => ({}) as ReadableSpan));

/** A failover over endpoints A, B, C, … on a virtual clock, and what a test does with it. */
export function setUp(answers: Answer[], options: Partial<FailoverSpanExporterOptions> = {}) {
  const clock = (options.clock as VirtualClock | undefined) ?? new VirtualClock();
  const leaves = answers.map((answer) => new Leaf(answer));
  const failover = new FailoverSpanExporter({
    endpoints: leaves.map((exporter, index) => ({ name: 'ABCDEF'[index]!, exporter })),
    clock,
    ...options,
  });
  const abort = new AbortController();
  const send = (context: Partial<ExportContext> = {}) =>
    failover.exportBatch(batch, { signal: abort.signal, deadline: clock.now() + 30_000, ...context });
  const run = (context?: Partial<ExportContext>) => clock.run(send(context));
  const asked = () => leaves.map(({ calls }) => calls.length);
  const states = () => failover.endpoints().map(({ state }) => state);
  const [a, b, c, d] = leaves as [Leaf, Leaf, Leaf, Leaf];
  return { clock, failover, abort, send, run, asked, states, a, b, c, d };
}

/** Opens the breakers of all endpoints. */
export async function outage({ run, a, b }: ReturnType<typeof setUp>): Promise<void> {
  const before = [a.answer, b.answer];
  a.answer = b.answer = fail('retryable');
  for (let call = 0; call < 3; call++) await run();
  [a.answer, b.answer] = before as [Answer, Answer];
  a.calls = [];
  b.calls = [];
}
