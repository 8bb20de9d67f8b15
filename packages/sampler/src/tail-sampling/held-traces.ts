import type { Clock, ReadableSpan, Timer } from '@otel-resilience/core';
import { type LocalTrace, LocalTraceList } from './local-trace.js';

/** Why a local trace was decided before its local root had ended. */
export const EARLY_REASONS = ['traces', 'bytes', 'ttl', 'flush', 'shutdown'] as const;

export type EarlyReason = (typeof EARLY_REASONS)[number];

export interface HeldTracesOptions {
  readonly maxTraces: number;
  readonly maxBytes: number;
  readonly maxHoldMillis: number;
  readonly clock: Clock;
  /** Must `take` the trace, at once. */
  readonly decideEarly: (trace: LocalTrace, reason: EarlyReason) => void;
}

/**
 * The local traces that are held, within bounds of number, bytes and time. Where a bound is met it is the oldest trace
 * that is decided early, sampled or not.
 */
export class HeldTraces {
  spans = 0;
  bytes = 0;
  private readonly list = new LocalTraceList();
  private readonly options: HeldTracesOptions;
  private timer: Timer | undefined;

  constructor(options: HeldTracesOptions) {
    this.options = options;
  }

  get traces(): number {
    return this.list.size;
  }

  add(trace: LocalTrace): void {
    const { clock, maxTraces, maxHoldMillis, decideEarly } = this.options;
    while (this.list.size >= maxTraces) decideEarly(this.list.oldest!, 'traces');
    trace.heldSince = clock.now();
    this.list.push(trace);
    this.arm(maxHoldMillis);
  }

  /** Holds a span of a held trace; `false` when its trace had to be decided for the lack of room. */
  hold(trace: LocalTrace, span: ReadableSpan, bytes: number): boolean {
    const { maxBytes, decideEarly } = this.options;
    if (trace.bytes + bytes > shareOf(maxBytes)) decideEarly(trace, 'bytes');
    while (trace.state === 'held' && this.bytes + bytes > maxBytes) decideEarly(this.list.oldest!, 'bytes');
    if (trace.state !== 'held') return false;
    trace.spans.push(span);
    trace.bytes += bytes;
    this.bytes += bytes;
    this.spans++;
    return true;
  }

  /** Takes a trace that is decided out; returns the spans that were held. */
  take(trace: LocalTrace): readonly ReadableSpan[] {
    const { spans } = trace;
    this.list.remove(trace);
    this.spans -= spans.length;
    this.bytes -= trace.bytes;
    trace.spans = NONE;
    trace.bytes = 0;
    return spans;
  }

  decideAll(reason: EarlyReason): void {
    // Only those that are here now: what happens to their spans may start new ones.
    for (let left = this.list.size; left > 0 && this.list.oldest; left--) {
      this.options.decideEarly(this.list.oldest, reason);
    }
    if (this.list.size === 0) this.disarm();
  }

  /** A timer that is set stays so, even if nothing is held any longer: it costs more than a trace does. */
  private arm(delayMillis: number): void {
    this.timer ??= this.options.clock.setTimeout(this.expire, delayMillis);
  }

  private disarm(): void {
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private readonly expire = (): void => {
    const { clock, maxHoldMillis, decideEarly } = this.options;
    this.timer = undefined;
    const now = clock.now();
    for (let trace = this.list.oldest; trace; trace = this.list.oldest) {
      if (trace.heldSince > now) this.beginAnew(now);
      const left = trace.heldSince + maxHoldMillis - now;
      if (left > 0) {
        this.arm(left);
        return;
      }
      decideEarly(trace, 'ttl');
    }
  };

  /** A clock that has been set back: for all at once, or each would be held for as long again after the one before. */
  private beginAnew(now: number): void {
    for (let trace = this.list.oldest; trace; trace = trace.next) trace.heldSince = Math.min(trace.heldSince, now);
  }
}

/**
 * What a single trace may hold, lest it drives out all others before its own turn comes: 4 MiB, which is what fits into
 * a batch and a queue when it is let go. Half of all where that is less, an eighth where that is more.
 */
function shareOf(maxBytes: number): number {
  return Math.max(maxBytes / 8, Math.min(maxBytes / 2, 4 * 1024 * 1024));
}

// Frozen: a span of a trace that is no longer held must not get here.
const NONE: ReadableSpan[] = Object.freeze([]) as never;
