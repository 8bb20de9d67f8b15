import type { Context } from '@opentelemetry/api';
import {
  type DeadlineOptions,
  type DegradationLevel,
  HELD_SPANS,
  type HeldSpans,
  heldSpansOf,
  type Instruments,
  isActive,
  LimitedLog,
  type ReadableSpan,
  type SpanProcessor,
  systemClock,
} from '@otel-resilience/core';
import { LevelEffect } from '../level-effect.js';
import { AttributeRules } from './attribute-rules.js';
import { type AttributeTrimmingSpanProcessorOptions, readTrimmingOptions } from './options.js';
import { type TrimCounts, type TrimLimits, trimSpan } from './trim-span.js';
import { trimmingInstruments } from './trimming-instruments.js';

/** What an `AttributeTrimmingSpanProcessor` has done so far, and does now. */
export interface AttributeTrimmingStats {
  readonly level: DegradationLevel;
  /** What is in force now; undefined while nothing is trimmed. */
  readonly limits: TrimLimits | undefined;
  /** Since construction. */
  readonly trimmed: Readonly<TrimCounts>;
}

const SAMPLED = 1;
const STATUS_ERROR = 2;

/**
 * Makes spans smaller while the level asks for it: removes verbose attributes, cuts long values, drops events beyond
 * the first few. What was removed is in the span's dropped counts, as if a limit of the SDK had removed it.
 *
 *     new AttributeTrimmingSpanProcessor({ next: new AdaptiveBatchSpanProcessor({ exporter }), controller })
 *
 * Other processors see the same span, so `next` gets another object with all that a `ReadableSpan` has, and the span
 * itself when there is nothing to trim.
 * Never touched: attributes that semantic conventions require, spans in error unless `spareErrors` is off, and spans
 * that are not sampled. Nothing thrown by a span, by `next.onStart` or by `next.onEnd` reaches the application.
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class AttributeTrimmingSpanProcessor implements SpanProcessor {
  /** Those of `next`, with spans that are trimmed on their way. */
  readonly [HELD_SPANS]: HeldSpans;
  /** Only there if `next` has one: the SDK pays for every processor that has. */
  readonly onEnding?: (span: object) => void;
  private readonly next: SpanProcessor;
  private readonly spareErrors: boolean;
  private readonly rules: AttributeRules;
  private readonly effect: LevelEffect<TrimLimits | undefined>;
  private readonly log: LimitedLog;
  private readonly instruments: Instruments;
  private readonly counts: TrimCounts = { spans: 0, attributes: 0, values: 0, events: 0 };
  private isShutDown = false;

  constructor(options: AttributeTrimmingSpanProcessorOptions) {
    const { next, controller, limitsAt, clock = systemClock, ...settings } = readTrimmingOptions(options);
    this.next = next;
    this.spareErrors = settings.spareErrors;
    this.rules = new AttributeRules(settings.verboseAttributes, settings.keepAttributes);
    this.log = new LimitedLog('AttributeTrimmingSpanProcessor', { clock });
    this.effect = new LevelEffect({
      controller,
      initial: undefined,
      effectAt: (level) => (isActive(controller, 'disableVerboseAttributes') ? limitsAt(level) : undefined),
      log: this.log,
    });
    this.instruments = trimmingInstruments(this.counts, settings.metrics);
    if (typeof next.onEnding === 'function') {
      this.onEnding = (span) => {
        try {
          next.onEnding?.(span);
        } catch (thrown) {
          this.nextThrew('onEnding', thrown);
        }
      };
    }
    const held = heldSpansOf(next);
    this[HELD_SPANS] = {
      hold: () => held.hold(),
      discard: (spans) => held.discard(spans),
      release: (span) => {
        const trimmed = this.trimmed(span);
        try {
          held.release(trimmed);
        } catch (thrown) {
          this.nextThrew('onEnd', thrown);
        }
      },
    };
  }

  onStart(span: object, parentContext: Context): void {
    try {
      this.next.onStart(span, parentContext);
    } catch (thrown) {
      this.nextThrew('onStart', thrown);
    }
  }

  onEnd(span: ReadableSpan): void {
    const trimmed = this.trimmed(span);
    try {
      this.next.onEnd(trimmed);
    } catch (thrown) {
      this.nextThrew('onEnd', thrown);
    }
  }

  stats(): AttributeTrimmingStats {
    const { effect } = this;
    return { level: effect.level, limits: effect.current, trimmed: { ...this.counts } };
  }

  /** That of `next`. */
  async forceFlush(options?: DeadlineOptions): Promise<void> {
    const next: Flushable = this.next;
    await next.forceFlush(options);
  }

  /** That of `next`. */
  async shutdown(options?: DeadlineOptions): Promise<void> {
    const next: Flushable = this.next;
    this.isShutDown = true;
    try {
      await next.shutdown(options);
    } finally {
      this.instruments.shutdown();
    }
  }

  private trimmed(span: ReadableSpan): ReadableSpan {
    // A controller that nobody has needed so far must not start now.
    if (!this.isShutDown) this.effect.start();
    const limits = this.effect.current;
    return limits ? this.trim(span, limits) : span;
  }

  /** A span that cannot be read goes on as it is, for `next` to judge. */
  private trim(span: ReadableSpan, limits: TrimLimits): ReadableSpan {
    try {
      if ((span.spanContext().traceFlags & SAMPLED) === 0) return span;
      if (this.spareErrors && span.status.code === STATUS_ERROR) return span;
      this.instruments.refresh();
      return trimSpan(span, limits, this.rules, this.counts);
    } catch (thrown) {
      this.log.warn('unreadable', () => `a span could not be trimmed: ${thrown}`);
      return span;
    }
  }

  private nextThrew(what: string, thrown: unknown): void {
    this.log.warn(what, () => `${what} of the next processor threw: ${thrown}`);
  }
}

/** Ours take a deadline, others ignore it. */
interface Flushable {
  forceFlush(options?: DeadlineOptions): Promise<void>;
  shutdown(options?: DeadlineOptions): Promise<void>;
}
