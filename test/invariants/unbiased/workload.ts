import { SpanKind } from '@opentelemetry/api';
import { Sums } from './estimates.js';
import type { Random } from './random.js';
import type { Operation, Service } from './services.js';
import type { PropagatedSpan, SimSpan } from './sim-span.js';

/** One request through all services: what shares its randomness, and so is one cluster. */
export interface TraceRun {
  readonly id: string;
  /** The randomness that decides: 14 hex digits, of the trace id or explicit. */
  readonly randomness: string;
  /** The foreign span that a trace begins with, when it does. */
  readonly foreign: ForeignParent | undefined;
  readonly locals: LocalRun[];
  /** Spans that have not ended yet. */
  open: number;
}

/** A parent in a system that is not simulated, sampled at a rate of its own. */
export interface ForeignParent {
  readonly span: PropagatedSpan;
  /** The probability with which it was sampled; `undefined` where nothing reliable says it: uncountable. */
  readonly probability: number | undefined;
  /** Whether even a sampled one carries no threshold, so that nothing but `th:0` may ever be written behind it. */
  readonly hasThreshold: boolean;
}

/** What one service does for a trace: a local root and its local descendants. */
export interface LocalRun {
  readonly trace: TraceRun;
  readonly service: number;
  /** The service has another local root in this trace already. */
  readonly isRepeated: boolean;
  /** The head's probability, as of the start of the local root; `undefined`: uncountable. */
  probability: number | undefined;
  hasError: boolean;
  isRootSampled: boolean;
  isRootKeptForCertain: boolean;
  /** Whether the contract says so, should it fail. */
  keepsFailedRoot: boolean;
  rootFailed: boolean;
  readonly sums: Sums;
}

export interface SpanRun {
  readonly local: LocalRun;
  readonly operation: Operation;
  readonly parent: SpanRun | undefined;
  readonly isLocalRoot: boolean;
  readonly startMillis: number;
  endMillis: number;
  failed: boolean;
  exported: boolean;
  span: SimSpan | PropagatedSpan | undefined;
}

const INTERNAL: Operation[] = [
  { name: 'render', kind: SpanKind.INTERNAL, attributes: Object.freeze({ template: 'list' }), weight: 1 },
  {
    name: 'SELECT',
    kind: SpanKind.CLIENT,
    attributes: Object.freeze({ 'db.system': 'postgresql', 'db.query.text': `SELECT ${'column, '.repeat(20)}` }),
    weight: 1,
  },
  { name: 'cache', kind: SpanKind.INTERNAL, attributes: Object.freeze({ hit: 'false' }), weight: 1 },
];
const RARE: Operation = {
  name: 'SELECT',
  kind: SpanKind.CLIENT,
  attributes: Object.freeze({ 'db.system': 'oracle' }),
  weight: 1,
};

/** Longest span: the simulation's calendar must reach further. */
export const MAX_SPAN_MILLIS = 6_000;

/**
 * Draws requests. Errors are likelier in large traces, and slow spans too, so that what is kept is unlike the rest: an
 * estimator that mixes them up is off at once.
 */
export class Workload {
  private readonly random: Random;
  private readonly services: readonly Service[];
  private readonly weights: ReadonlyArray<readonly number[]>;

  constructor(random: Random, services: readonly Service[]) {
    this.random = random;
    this.services = services;
    this.weights = services.map(({ operations }) => operations.map(({ weight }) => weight));
  }

  /** All spans of a new trace, parents before children. */
  request(now: number, drawForeign: (traceId: string) => { foreign: ForeignParent; randomness: string }): SpanRun[] {
    const { random } = this;
    const spans: SpanRun[] = [];
    const kind = random.unit();
    const id = random.traceId();
    const origin = kind < 0.3 ? drawForeign(id) : { randomness: id.slice(-14), foreign: undefined };
    const trace: TraceRun = { id, ...origin, locals: [], open: 0 };
    if (kind < 0.3) this.partner(trace, now, spans);
    else if (kind < 0.8) this.shop(trace, now, spans);
    else this.local(trace, WORKER, now, undefined, 2, spans);
    trace.open = spans.length;
    return spans;
  }

  private shop(trace: TraceRun, now: number, spans: SpanRun[]): void {
    const root = this.local(trace, SHOP, now, undefined, 4, spans);
    if (!this.random.chance(0.7)) return;
    const order = this.remote(ORDERS, root, 3, spans);
    if (!this.random.chance(0.5)) return;
    const stock = this.remote(STOCK, order, 4, spans);
    // The shop again, in the same trace.
    if (this.random.chance(0.1)) this.remote(SHOP, stock, 1, spans);
  }

  private partner(trace: TraceRun, now: number, spans: SpanRun[]): void {
    const root = this.local(trace, PARTNER, now, undefined, 5, spans);
    if (this.random.chance(0.3)) this.remote(STOCK, root, 4, spans);
  }

  private remote(service: number, caller: SpanRun, meanChildren: number, spans: SpanRun[]): SpanRun {
    const start = caller.startMillis + this.random.integer(0, 3);
    return this.local(caller.local.trace, service, start, caller, meanChildren, spans);
  }

  private local(
    trace: TraceRun,
    service: number,
    startMillis: number,
    caller: SpanRun | undefined,
    meanChildren: number,
    spans: SpanRun[],
  ): SpanRun {
    const { random } = this;
    const local: LocalRun = {
      trace,
      service,
      isRepeated: trace.locals.some((other) => other.service === service),
      probability: undefined,
      hasError: false,
      isRootSampled: false,
      isRootKeptForCertain: false,
      keepsFailedRoot: false,
      rootFailed: false,
      sums: new Sums(),
    };
    trace.locals.push(local);
    const operation = this.services[service]!.operations[random.pick(this.weights[service]!)]!;
    const root = this.span(local, operation, startMillis, 2 + Math.floor(random.exponential(30)), caller, true);
    root.failed = random.chance(0.015);
    spans.push(root);
    const children = Math.min(Math.floor(random.exponential(meanChildren)), 30);
    for (let i = 0; i < children; i++) {
      // Of the root, or of the child before: chains and fans.
      const parent = i > 0 && random.chance(0.3) ? spans[spans.length - 1]! : root;
      // A few begin after their local root has ended.
      const late = random.chance(0.02) ? Math.max(0, root.endMillis - parent.startMillis) : 0;
      const start = parent.startMillis + late + random.integer(0, Math.max(0, parent.endMillis - parent.startMillis));
      const which = random.chance(0.004) ? RARE : INTERNAL[i % INTERNAL.length]!;
      const child = this.span(local, which, start, Math.floor(random.exponential(10)), parent, false);
      child.failed = random.chance(0.012);
      if (child.failed && random.chance(0.3)) root.failed = true;
      // Most children end before their local root.
      if (random.chance(0.95)) child.endMillis = Math.max(child.startMillis, Math.min(child.endMillis, root.endMillis));
      if (child.failed) local.hasError = true;
      spans.push(child);
    }
    if (random.chance(0.01)) this.makeSlow(random.chance(0.5) ? root : spans[spans.length - 1]!, root);
    local.rootFailed = root.failed;
    if (root.failed) local.hasError = true;
    return root;
  }

  private makeSlow(span: SpanRun, root: SpanRun): void {
    span.endMillis = span.startMillis + this.random.integer(1_010, MAX_SPAN_MILLIS - 2_000);
    root.endMillis = Math.max(root.endMillis, span.endMillis);
  }

  private span(
    local: LocalRun,
    operation: Operation,
    startMillis: number,
    durationMillis: number,
    parent: SpanRun | undefined,
    isLocalRoot: boolean,
  ): SpanRun {
    return {
      local,
      operation,
      parent,
      isLocalRoot,
      startMillis,
      endMillis: startMillis + Math.min(durationMillis, 900),
      failed: false,
      exported: false,
      span: undefined,
    };
  }
}

// The order of `servicesOf`.
const [SHOP, ORDERS, PARTNER, STOCK, WORKER] = [0, 1, 2, 3, 4];
