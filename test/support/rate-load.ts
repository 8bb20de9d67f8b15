import { RateTarget, type RateTargetOptions } from '../../packages/sampler/src/rate-target.js';

/** Spans/s that a {@link Load} is held at by default. */
export const TARGET = 200;

export const SPANS_PER_TRACE = 4;

export interface Traffic {
  readonly rootsPerSecond: number;
  readonly spansPerTrace?: number | readonly number[];
  readonly childDelayMillis?: number;
  readonly regular?: boolean;
  /** Roots arrive in batches of this size. */
  readonly batch?: number;
  readonly bound?: (index: number) => number;
  readonly parentRatio?: number;
  readonly remoteSampledPerSecond?: number;
  readonly fixedPerSecond?: number;
  readonly unsampledPerSecond?: number;
  readonly unsampledSpans?: number;
  readonly operations?: readonly string[];
}

/** Poisson arrivals (unless told otherwise) at a `RateTarget`, and a sampler that does what it says. */
export class Load {
  readonly target: RateTarget;
  private millis = 5_000;
  private jumped = 0;
  private state: number;
  private readonly children: Array<{ at: number; traceId: string; sampled: boolean; probability: number }> = [];
  private started = 0;
  private expected = 0;
  private index = 0;

  constructor({
    tickMillis = 0,
    seed = 1,
    targetPer = 'service',
    targetSpansPerSecond = TARGET,
  }: {
    tickMillis?: number;
    seed?: number;
    targetPer?: RateTargetOptions['targetPer'];
    targetSpansPerSecond?: number;
  } = {}) {
    this.state = seed;
    const now = () => {
      const exact = this.millis + this.jumped;
      return tickMillis ? Math.floor(exact / tickMillis) * tickMillis : exact;
    };
    const clock = { now, wallTime: now, setTimeout: () => ({}), clearTimeout: () => {} };
    this.target = new RateTarget({ targetSpansPerSecond, targetPer, clock });
  }

  get ratio(): number {
    return this.target.ratio;
  }

  /** `sampledPerSecond` is what is expected with the ratios in force: without the noise of the sampling itself. */
  run(seconds: number, traffic: Traffic): { sampledPerSecond: number; ratio: number } {
    const { batch = 1, remoteSampledPerSecond = 0, fixedPerSecond = 0, unsampledPerSecond = 0 } = traffic;
    const all = traffic.rootsPerSecond + remoteSampledPerSecond + fixedPerSecond + unsampledPerSecond;
    const until = this.millis + seconds * 1_000;
    const before = this.expected;
    for (;;) {
      const gap = (batch * 1_000) / all;
      const next = this.millis + (traffic.regular || batch > 1 ? gap : -Math.log(1 - this.random()) * gap);
      if (next > until) break;
      this.startChildrenUntil(next);
      this.millis = next;
      for (let i = 0; i < batch; i++) this.startTrace(traffic, this.random() * all);
    }
    this.startChildrenUntil(until);
    this.millis = until;
    return { sampledPerSecond: (this.expected - before) / seconds, ratio: this.ratio };
  }

  idle(seconds: number): void {
    this.millis += seconds * 1_000;
  }

  jump(byMillis: number): void {
    this.jumped += byMillis;
  }

  private startTrace(traffic: Traffic, pick: number): void {
    const index = this.index++;
    const which = index % (traffic.operations?.length ?? 1);
    const operation = traffic.operations?.[which] ?? 'GET';
    const cap = () => this.target.ratioFor?.(operation) ?? this.target.ratio;
    let spans = traffic.spansPerTrace ?? SPANS_PER_TRACE;
    if (typeof spans !== 'number') spans = spans[which]!;
    let probability: number;
    let offered: readonly [bound: number, weight?: number];
    if (pick < traffic.rootsPerSecond) {
      const bound = traffic.bound?.(index) ?? 1;
      offered = [bound];
      probability = Math.min(bound, cap());
    } else if (pick < traffic.rootsPerSecond + (traffic.remoteSampledPerSecond ?? 0)) {
      const parent = traffic.parentRatio!;
      offered = [parent, 1 / parent];
      probability = Math.min(parent, cap()) / parent;
    } else if (traffic.fixedPerSecond) {
      offered = [Number.POSITIVE_INFINITY];
      probability = 1;
    } else {
      offered = [0];
      probability = 0;
      spans = traffic.unsampledSpans!;
    }
    this.target.onRoot(operation, ...offered);
    const sampled = this.random() < probability;
    const traceId = String(index);
    this.expected += probability;
    if (sampled) this.target.onSampledSpan(operation, traceId);
    for (let i = 1; i < spans; i++) {
      const at = this.millis + (traffic.childDelayMillis ?? 0);
      if (traffic.childDelayMillis) this.children.push({ at, traceId, sampled, probability });
      else this.startChild(traceId, sampled, probability);
    }
  }

  private startChildrenUntil(millis: number): void {
    for (let next = this.children[this.started]; next && next.at <= millis; next = this.children[++this.started]) {
      this.millis = Math.max(this.millis, next.at);
      this.startChild(next.traceId, next.sampled, next.probability);
    }
  }

  private startChild(traceId: string, sampled: boolean, probability: number): void {
    this.expected += probability;
    if (sampled) this.target.onSampledSpan(undefined, traceId);
    else this.target.onUnsampledChild();
  }

  /** Mulberry32. */
  private random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}
