import {
  accountedFor,
  classifyFailure,
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  followedBy,
  MAX_RETRY_AFTER_MILLIS,
  MIN_RETRY_AFTER_MILLIS,
  type ReadableSpan,
  rejectedOutcome,
  SpanBatch,
  SpanBatchExporterBase,
  storedOutcome,
} from '@otel-resilience/core';
import { RetryingSpanExporter } from '@otel-resilience/exporter';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';

const batchOf = (spans: number) => SpanBatch.fromSpans(Array.from({ length: spans }, () => ({}) as ReadableSpan));
const STRATEGIES = ['fixed', 'exponential', 'equalJitter', 'fullJitter', 'decorrelatedJitter'] as const;

const retryRule = fc
  .record({
    maxRetries: fc.nat(6),
    initialDelayMillis: fc.integer({ min: 1, max: 1_000 }),
    multiplier: fc.double({ min: 1, max: 10, noNaN: true }),
    maxDelayMillis: fc.integer({ min: 1_000, max: 20_000 }),
    randomizationFactor: fc.double({ min: 0, max: 1, noNaN: true }),
    strategy: fc.constantFrom(...STRATEGIES),
    budget: fc.constantFrom(undefined, false as const),
  })
  .map(({ budget, ...rule }) => (budget === undefined ? rule : { ...rule, budget }));
const randomValue = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('invariant 5: any Retry-After or RetryInfo gives a bounded positive wait', () => {
  const header = fc.oneof(
    fc.constantFrom('0', '-1', '', ' ', 'NaN', 'Infinity', '1e9', '0x1', 'soon', '60', '9'.repeat(40)),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.string(),
    fc.double(),
    fc.anything(),
  );
  const detailsBytes = fc.oneof(
    fc
      .record({ seconds: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), nanos: fc.integer() })
      .map(retryInfoStatus),
    fc.record({ seconds: fc.bigInt({ min: -2n, max: 400n }), nanos: fc.integer() }).map(retryInfoStatus),
    fc.uint8Array({ maxLength: 64 }),
  );
  const throttle = fc.oneof(
    fc.tuple(fc.constantFrom(429, 503), header).map(([code, value]) => ({ code, headers: { 'retry-after': value } })),
    fc.tuple(fc.constantFrom(429, 503), header).map(([code, retryAfter]) => ({ code, retryAfter })),
    fc.tuple(fc.constantFrom(429, 14, 8), fc.double()).map(([code, retryAfterMillis]) => ({ code, retryAfterMillis })),
    fc.tuple(fc.constantFrom(14, 8), detailsBytes).map(([code, bytes]) => ({
      code,
      details: 'slow down',
      metadata: { get: (key: string) => (key === 'grpc-status-details-bin' ? [Buffer.from(bytes)] : []) },
    })),
  );

  it('as a hint', () => {
    fc.assert(
      fc.property(throttle, (properties) => {
        const { retryAfterMillis } = classifyFailure(Object.assign(new Error('throttled'), properties));
        if (retryAfterMillis === undefined) return;
        expect(retryAfterMillis).toBeGreaterThanOrEqual(MIN_RETRY_AFTER_MILLIS);
        expect(retryAfterMillis).toBeLessThanOrEqual(MAX_RETRY_AFTER_MILLIS);
      }),
      { numRuns: 2_000 },
    );
  });

  it('between the attempts of a retrying exporter: no shorter than a back-off, no longer than the deadline', async () => {
    await fc.assert(
      fc.asyncProperty(throttle, retryRule, randomValue, async (properties, rule, random) => {
        const clock = new VirtualClock();
        const attempts: number[] = [];
        const stock = {
          export: (_: unknown, done: (result: { code: number; error: Error }) => void) => {
            attempts.push(clock.now());
            done({ code: 1, error: Object.assign(new Error('throttled'), properties) });
          },
          shutdown: async () => {},
        };
        const retrying = new RetryingSpanExporter({ ...rule, exporter: stock, clock, random: () => random });
        const deadline = clock.now() + 60_000;
        const outcome = await clock.run(
          retrying.exportBatch(batchOf(3), { signal: new AbortController().signal, deadline }),
        );
        expect(outcome.remaining?.spanCount).toBe(3);
        expect(attempts.length).toBeLessThanOrEqual(rule.maxRetries + 1);
        expect(attempts.at(-1)).toBeLessThan(deadline);
        const hinted = outcome.retryAfterMillis !== undefined;
        for (let retry = 1; retry < attempts.length; retry++) {
          const wait = attempts[retry]! - attempts[retry - 1]!;
          expect(wait).toBeGreaterThan(0);
          if (hinted) expect(wait).toBeGreaterThanOrEqual(rule.initialDelayMillis * (1 - 1e-9));
          if (hinted) expect(wait).toBeGreaterThanOrEqual(outcome.retryAfterMillis * (1 - 1e-9));
        }
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a retrying exporter, whatever the wrapped one does', () => {
  const FAILURES: readonly Failure[] = ['retryable', 'throttled', 'permanent', 'refused', 'shutdown'];
  /** What a call does with its batch: shares of it settled in each way, then a failure for the rest, after a while. */
  const step = fc.record({
    delivered: fc.nat(4),
    rejected: fc.nat(4),
    stored: fc.nat(4),
    dropped: fc.nat(4),
    failure: fc.constantFrom(...FAILURES, 'retryable', 'throttled', 'refused', undefined, 'throws', 'hangs'),
    retryAfterMillis: fc.option(fc.oneof(fc.nat(10_000), fc.double()), { nil: undefined }),
    takesMillis: fc.nat(3_000),
  });
  type ScriptStep = typeof step extends fc.Arbitrary<infer S> ? S : never;

  class AnyChild extends SpanBatchExporterBase {
    readonly calledAt: number[] = [];
    private readonly script: readonly ScriptStep[];

    constructor(clock: VirtualClock, script: readonly ScriptStep[]) {
      super({ clock });
      this.script = script;
    }

    async exportBatch(batch: SpanBatch, _: ExportContext): Promise<ExportOutcome> {
      const next = this.script[this.calledAt.length % this.script.length]!;
      this.calledAt.push(this.clock.now());
      if (next.failure === 'hangs') return new Promise(() => {});
      await new Promise<void>((resolve) => this.clock.setTimeout(resolve, next.takesMillis));
      if (next.failure === 'throws') throw new Error('bug');
      return settle(batch, next);
    }
  }

  it('accounts for every span, in at most maxRetries + 1 attempts, none of them begun past the deadline', async () => {
    const event = fc.constantFrom('nothing', 'shutdown', 'abort', 'flush');
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        retryRule,
        randomValue,
        fc.nat(30),
        fc.nat(20_000),
        fc.tuple(event, fc.nat(15_000)),
        fc.boolean(),
        async (script, rule, random, spans, budgetMillis, [what, afterMillis], lastResort) => {
          const clock = new VirtualClock();
          const child = new AnyChild(clock, script);
          const retrying = new RetryingSpanExporter({ ...rule, exporter: child, clock, random: () => random });
          const abort = new AbortController();
          const deadline = clock.now() + budgetMillis;
          const exporting = retrying.exportBatch(batchOf(spans), { signal: abort.signal, deadline, lastResort });
          const happening = clock.setTimeout(() => {
            if (what === 'shutdown') void retrying.shutdown();
            if (what === 'abort') abort.abort(new ExportError('DEADLINE_EXCEEDED', 'nobody waits'));
            if (what === 'flush') retrying.forceFlush().catch(() => {});
          }, afterMillis);

          const outcome = await clock.run(exporting);
          expect(accountedFor(outcome)).toBe(spans);
          expect(clock.now()).toBeLessThanOrEqual(deadline);
          expect(child.calledAt.length).toBeLessThanOrEqual(lastResort ? 1 : rule.maxRetries + 1);
          for (const at of child.calledAt.slice(1)) expect(at).toBeLessThan(deadline);

          clock.clearTimeout(happening);
          await clock.run(retrying.shutdown());
          await clock.advance(3_000); // the script's own answers
          expect(clock.pendingTimers).toBe(0);
          expect(retrying.stats().waiting).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  const FATES = {
    delivered: (spans: number) => deliveredOutcome(spans),
    rejected: rejectedOutcome,
    stored: storedOutcome,
    dropped: (spans: number) => droppedOutcome(spans, 'full'),
  };

  function settle(batch: SpanBatch, next: ScriptStep): ExportOutcome {
    let outcome = failedOutcome(batch, 'retryable', new Error('nothing yet'));
    let at = 0;
    for (const fate of ['delivered', 'rejected', 'stored', 'dropped'] as const) {
      const spans = Math.min(next[fate], batch.spanCount - at);
      at += spans;
      outcome = followedBy(outcome, FATES[fate](spans));
    }
    const rest = batch.slice(at);
    if (next.failure === undefined) return followedBy(outcome, deliveredOutcome(rest.spanCount));
    const failure = next.failure as Failure;
    return followedBy(outcome, failedOutcome(rest, failure, new Error(failure), next.retryAfterMillis));
  }
});

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`);

function retryInfoStatus({ seconds, nanos }: { seconds: bigint; nanos: number }): Uint8Array {
  const encode = (type: string, value: object) => {
    const message = root.lookupType(type);
    return message.encode(message.fromObject(value)).finish();
  };
  const value = encode('RetryInfo', { retryDelay: { seconds: String(seconds), nanos } });
  return encode('Status', { details: [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value }] });
}
