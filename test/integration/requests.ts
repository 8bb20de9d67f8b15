import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { VirtualClock } from '@otel-resilience/testing';

/** What one request does: its local trace of ten spans, and when. */
export interface PlannedRequest {
  readonly startMillis: number;
  readonly durationMillis: number;
  /** The span that fails: 0 is the local root. */
  readonly failedSpan: number | undefined;
  /** In another service that had sampled it, had not, or had no part in it. */
  readonly parent: 'none' | 'sampled' | 'unsampled';
}

export interface Request extends PlannedRequest {
  readonly traceId: string;
  readonly spanIds: readonly string[];
}

export const SPANS = 10;
const TICK_MILLIS = 20;

/** `perSecond` requests for `seconds`: 10 % take more than a second (2 at most), 2 % have a span that fails. */
export function planRequests(perSecond: number, seconds: number, random: () => number): PlannedRequest[] {
  const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!;
  return Array.from({ length: perSecond * seconds }, (_, i) => ({
    startMillis: (i * 1_000) / perSecond,
    durationMillis: random() < 0.1 ? 1_001 + random() * 999 : 20 + random() * 900,
    failedSpan: random() < 0.02 ? Math.floor(random() * SPANS) : undefined,
    parent: pick(['none', 'none', 'sampled', 'unsampled'] as const),
  }));
}

/** Serves the requests through a tracer, each span at its time by the clock. */
export async function serve(
  planned: readonly PlannedRequest[],
  tracer: Tracer,
  clock: VirtualClock,
  random: () => number,
) {
  const requests: Request[] = [];
  const events = planned.flatMap((plan) => eventsOf(plan, tracer, random, (request) => requests.push(request)));
  events.sort((a, b) => a.at - b.at);
  const start = clock.now();
  for (const { at, run } of events) {
    const behind = start + at - clock.now();
    if (behind >= TICK_MILLIS) await clock.advance(behind);
    run();
  }
  return requests;
}

interface Event {
  readonly at: number;
  readonly run: () => void;
}

/** Its root, and nine spans under it: calls one after the other, each with one within. */
function eventsOf(
  plan: PlannedRequest,
  tracer: Tracer,
  random: () => number,
  done: (request: Request) => void,
): Event[] {
  const { startMillis, durationMillis, failedSpan } = plan;
  const epoch = Date.UTC(2026, 0, 1);
  const open: Array<{ span: Span; context: Context }> = [];
  const started: Span[] = [];
  const begin = (at: number, isRoot: boolean): Event => ({
    at,
    run: () => {
      const parent = isRoot ? remoteContext(plan, random) : open.at(-1)!.context;
      const kind = isRoot ? SpanKind.SERVER : SpanKind.INTERNAL;
      const span = tracer.startSpan(`span ${started.length}`, { startTime: epoch + at, kind }, parent);
      open.push({ span, context: trace.setSpan(parent, span) });
      started.push(span);
    },
  });
  const end = (at: number): Event => ({
    at,
    run: () => {
      const { span } = open.pop()!;
      if (started.indexOf(span) === failedSpan) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(epoch + at);
      if (open.length > 0) return;
      const spanIds = started.map((each) => each.spanContext().spanId);
      done({ ...plan, traceId: span.spanContext().traceId, spanIds });
    },
  });
  const step = durationMillis / (2 * SPANS);
  const at = (n: number) => startMillis + n * step;
  const calls = Array.from({ length: 4 }, (_, i) => [
    begin(at(4 * i + 1), false),
    begin(at(4 * i + 2), false),
    end(at(4 * i + 3)),
    end(at(4 * i + 4)),
  ]);
  return [
    begin(startMillis, true),
    ...calls.flat(),
    begin(at(17), false),
    end(at(18)),
    end(startMillis + durationMillis),
  ];
}

function remoteContext({ parent }: PlannedRequest, random: () => number): Context {
  if (parent === 'none') return ROOT_CONTEXT;
  const hex = (digits: number) => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
  const traceFlags = parent === 'sampled' ? 1 : 0;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: `1${hex(31)}`,
    spanId: `1${hex(15)}`,
    traceFlags,
    isRemote: true,
  });
}
