import {
  type BatchToken,
  type ExportOutcome,
  Ledger,
  type ReadableSpan,
  SpanBatch,
  type SpoolDropReason,
  SpoolLedger,
} from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/**
 * Invariant 1: the ledger's identities hold at every instant, and no span is counted twice.
 *
 * The model keeps every span by itself, with the one state it is in; after each command the ledger must show exactly
 * the number of spans in each state.
 */

type State =
  | 'unsampled'
  | 'held'
  | 'queued'
  | 'inFlight'
  | 'delivered'
  | 'rejected'
  | 'handedToSpool'
  | `dropped:${string}`;

interface Model {
  readonly spans: State[];
  readonly batches: Array<{ token: BatchToken; spans: number[]; settled: boolean }>;
  dispatched: number;
  readonly neverDispatched: Record<string, number>;
  lateOutcomes: number;
  lateAcknowledged: number;
}

const REASONS = ['queue_full', 'shutdown', 'export_failed', 'export_timeout', 'of a layer of my own'] as const;

const newModel = (): Model => ({
  spans: [],
  batches: [],
  dispatched: 0,
  neverDispatched: {},
  lateOutcomes: 0,
  lateAcknowledged: 0,
});
const inState = (model: Model, state: State): number[] =>
  model.spans.flatMap((current, span) => (current === state ? [span] : []));
const move = (model: Model, spans: readonly number[], state: State): void => {
  for (const span of spans) model.spans[span] = state;
};

const dropUndispatched = (model: Model, spans: number, reason: string): void => {
  if (spans > 0) model.neverDispatched[reason] = (model.neverDispatched[reason] ?? 0) + spans;
};

function expectAgreement(model: Readonly<Model>, ledger: Ledger): void {
  const snapshot = ledger.snapshot();
  const count = (state: State) => inState(model, state).length;
  const dropped: Record<string, number> = {};
  for (const state of model.spans) {
    if (!state.startsWith('dropped:')) continue;
    const reason = state.slice('dropped:'.length);
    dropped[reason] = (dropped[reason] ?? 0) + 1;
  }
  expect(snapshot).toEqual({
    ended: model.spans.length,
    unsampled: count('unsampled'),
    held: count('held'),
    queued: count('queued'),
    inFlight: count('inFlight'),
    delivered: count('delivered'),
    rejected: count('rejected'),
    handedToSpool: count('handedToSpool'),
    dropped,
    balanced: true,
    beside: {
      dispatched: model.dispatched,
      neverDispatched: model.neverDispatched,
      lateOutcomes: model.lateOutcomes,
      lateAcknowledged: model.lateAcknowledged,
    },
  });
}

type LedgerCommand = fc.Command<Model, Ledger>;

function command(
  name: string,
  check: (model: Readonly<Model>) => boolean,
  act: (model: Model, ledger: Ledger) => void,
): LedgerCommand {
  return {
    check,
    run(model, ledger) {
      act(model, ledger);
      expectAgreement(model, ledger);
    },
    toString: () => name,
  };
}

const always = () => true;
const someOf = (share: number, spans: readonly number[]) => spans.slice(0, Math.ceil(share * spans.length));

const endings = fc.oneof(
  fc.constant(
    command('endUnsampled', always, (model, ledger) => {
      model.spans.push('unsampled');
      ledger.endUnsampled();
    }),
  ),
  fc.constant(
    command('endHeld', always, (model, ledger) => {
      model.spans.push('held');
      ledger.endHeld();
    }),
  ),
  fc.integer({ min: 1, max: 30 }).map((spans) =>
    command(`endQueued × ${spans}`, always, (model, ledger) => {
      for (let i = 0; i < spans; i++) {
        model.spans.push('queued');
        ledger.endQueued();
      }
    }),
  ),
  fc.constantFrom(...REASONS).map((reason) =>
    command(`endDropped(${reason})`, always, (model, ledger) => {
      model.spans.push(`dropped:${reason}`);
      dropUndispatched(model, 1, reason);
      ledger.endDropped(reason);
    }),
  ),
);

const share = fc.double({ min: 0, max: 1, noNaN: true });

const releases = fc.tuple(share, fc.boolean()).map(([part, sampled]) =>
  command(`release ${part} of held, ${sampled ? 'queued' : 'unsampled'}`, always, (model, ledger) => {
    const spans = someOf(part, inState(model, 'held'));
    move(model, spans, sampled ? 'queued' : 'unsampled');
    if (sampled) ledger.releaseQueued(spans.length);
    else ledger.releaseUnsampled(spans.length);
  }),
);

const queueDrops = fc.tuple(share, fc.constantFrom(...REASONS)).map(([part, reason]) =>
  command(`drop ${part} of queued: ${reason}`, always, (model, ledger) => {
    const spans = someOf(part, inState(model, 'queued'));
    move(model, spans, `dropped:${reason}`);
    dropUndispatched(model, spans.length, reason);
    ledger.dropQueued(spans.length, reason);
  }),
);

const dispatches = share.map((part) =>
  command(`dispatch ${part} of queued`, always, (model, ledger) => {
    const spans = someOf(part, inState(model, 'queued'));
    move(model, spans, 'inFlight');
    model.dispatched += spans.length;
    model.batches.push({ token: ledger.dispatch(spans.length), spans, settled: false });
  }),
);

const settlements = fc
  .record({
    batch: fc.nat(),
    weights: fc.array(fc.nat(5), { minLength: 6, maxLength: 6 }),
    failure: fc.constantFrom('retryable', 'throttled', 'permanent', 'refused', 'shutdown'),
  })
  .map(({ batch, weights, failure }) =>
    command(
      `settle batch ${batch} as ${weights} (${failure})`,
      ({ batches }) => batches.length > 0,
      (model) => {
        const chosen = model.batches[batch % model.batches.length]!;
        const parts = divide(chosen.spans, weights);
        const [delivered, rejected, stored, full, timedOut, remaining] = parts as never as number[][];
        const outcome = {
          delivered: delivered!.length,
          rejected: rejected!.length,
          stored: stored!.length,
          dropped: { queue_full: full!.length, export_timeout: timedOut!.length },
          ...(remaining!.length > 0 && { remaining: batchOf(remaining!.length), failure, error: new Error('no') }),
        } as ExportOutcome;
        expect(chosen.token.settle(outcome)).toBe(!chosen.settled);
        if (chosen.settled) {
          model.lateOutcomes += chosen.spans.length;
          model.lateAcknowledged += outcome.delivered;
          return;
        }
        chosen.settled = true;
        move(model, delivered!, 'delivered');
        move(model, rejected!, 'rejected');
        move(model, stored!, 'handedToSpool');
        move(model, full!, 'dropped:queue_full');
        move(model, timedOut!, 'dropped:export_timeout');
        move(model, remaining!, failure === 'shutdown' ? 'dropped:shutdown' : 'dropped:export_failed');
      },
    ),
  );

/** The items in as many parts as there are weights, all of them, none twice. */
function divide<T>(items: readonly T[], weights: readonly number[]): T[][] {
  const total = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  let sum = 0;
  let at = 0;
  return weights.map((weight, i) => {
    sum += weight;
    const end = i === weights.length - 1 ? items.length : Math.floor((sum / total) * items.length);
    const part = items.slice(at, end);
    at = end;
    return part;
  });
}

function batchOf(spans: number): SpanBatch {
  return SpanBatch.fromSpans(Array<ReadableSpan>(spans).fill({} as ReadableSpan));
}

describe('Ledger', () => {
  it('shows every ended span in exactly one state, after every transition', () => {
    const commands = fc.commands([endings, endings, endings, releases, queueDrops, dispatches, settlements], {
      maxCommands: 80,
      size: 'max',
    });
    fc.assert(
      fc.property(commands, (run) => fc.modelRun(() => ({ model: newModel(), real: new Ledger() }), run)),
      { numRuns: 200 },
    );
  });
});

describe('SpoolLedger', () => {
  type SpoolState = 'waiting' | 'delivered' | 'rejected' | `dropped:${SpoolDropReason}`;
  const reasons: readonly SpoolDropReason[] = ['full', 'expired', 'corrupt', 'poison', 'shutdown'];
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('accept', 'recover'), spans: fc.nat(20) }),
    fc.record({ kind: fc.constantFrom('deliver', 'reject'), spans: fc.nat(20) }),
    fc.record({ kind: fc.constant('drop'), spans: fc.nat(20), reason: fc.constantFrom(...reasons) }),
  ) as fc.Arbitrary<{
    kind: 'accept' | 'recover' | 'deliver' | 'reject' | 'drop';
    spans: number;
    reason?: SpoolDropReason;
  }>;

  it('shows every span it took in exactly one state, after every transition', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ledger = new SpoolLedger();
        const spans: SpoolState[] = [];
        const came = { accept: 0, recover: 0 };
        for (const { kind, spans: asked, reason } of steps) {
          if (kind === 'accept' || kind === 'recover') {
            ledger[kind](asked);
            came[kind] += asked;
            for (let i = 0; i < asked; i++) spans.push('waiting');
          } else {
            const waiting = spans.flatMap((state, i) => (state === 'waiting' ? [i] : [])).slice(0, asked);
            if (kind === 'drop') ledger.drop(waiting.length, reason!);
            else ledger[kind](waiting.length);
            for (const i of waiting)
              spans[i] = kind === 'drop' ? `dropped:${reason!}` : kind === 'deliver' ? 'delivered' : 'rejected';
          }
          const count = (state: SpoolState) => spans.filter((s) => s === state).length;
          const dropped = Object.fromEntries(reasons.map((r) => [r, count(`dropped:${r}`)]).filter(([, n]) => n !== 0));
          expect(ledger.snapshot()).toEqual({
            accepted: came.accept,
            recovered: came.recover,
            waiting: count('waiting'),
            delivered: count('delivered'),
            rejected: count('rejected'),
            dropped,
            balanced: true,
          });
        }
      }),
    );
  });
});
