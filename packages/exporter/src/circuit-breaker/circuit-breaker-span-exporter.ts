import {
  adaptSpanExporter,
  anyExporter,
  type Clock,
  ConfigurationError,
  classifyFailure,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  exportAttempt,
  failedOutcome,
  optional,
  readOptions,
  type SpanBatch,
  type SpanBatchExporter,
  SpanBatchExporterBase,
  type SpanExporter,
} from '@otel-resilience/core';
import { CircuitBreaker, isCircuitBreaker } from './circuit-breaker.js';
import { CIRCUIT_BREAKER_SCHEMA, type CircuitBreakerOptions, readCircuitBreakerOptions } from './options.js';
import type { BreakerPermit } from './permit.js';

/** The options of the breaker, or a breaker made elsewhere. */
export interface CircuitBreakerSpanExporterOptions extends CircuitBreakerOptions {
  /** What to guard: any `SpanExporter`, or one of ours. */
  readonly exporter: SpanExporter | SpanBatchExporter;
  /** A breaker to share; then none of the breaker's own options may be given. Default: one of its own. */
  readonly breaker?: CircuitBreaker;
  readonly clock?: Clock;
}

/** The brand by which a failover finds the endpoints that have a breaker already. */
const BRAND: symbol = Symbol.for('otel-resilience.CircuitBreakerSpanExporter');

const SCHEMA = { ...CIRCUIT_BREAKER_SCHEMA, exporter: anyExporter(), breaker: optional(aBreaker) };

/**
 * Guards an exporter with a {@link CircuitBreaker}. What its breaker refuses comes back as `refused`, at once.
 *
 * | the export ended as                                             | the breaker sees |
 * |-----------------------------------------------------------------|------------------|
 * | delivered, rejected in part or whole, `permanent`               | success          |
 * | `retryable`, a timed-out attempt included                       | failure          |
 * | `throttled`, `refused`, `shutdown`, cancelled, nothing but stored or dropped | nothing |
 *
 * An acknowledgement that comes after its attempt was given up changes nothing: that attempt has been judged.
 */
export class CircuitBreakerSpanExporter extends SpanBatchExporterBase {
  readonly breaker: CircuitBreaker;
  private readonly exporter: SpanBatchExporter;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: CircuitBreakerSpanExporterOptions) {
    const read = readOptions('CircuitBreakerSpanExporter', options, SCHEMA);
    const { clock } = read;
    const exporter = adaptSpanExporter(read.exporter, { clock });
    super({ children: [exporter], clock });
    Object.defineProperty(this, BRAND, { value: true });
    this.exporter = exporter;
    this.breaker = read.breaker ? alone(read.breaker, options) : ownBreaker(options);
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    const { signal, deadline } = context;
    if (signal.aborted) return cutOff(batch, signal.reason);
    // Out of time before the backend was asked: our own delay is none of its failures.
    if (deadline <= this.clock.now())
      return cutOff(batch, new ExportError('DEADLINE_EXCEEDED', 'no time left to export'));
    const permit = this.breaker.tryAcquire(context);
    if (!permit) {
      const message = `${this.breaker.name} is ${this.breaker.state}`;
      return failedOutcome(batch, 'refused', new ExportError('REFUSED', message));
    }
    const startedAt = this.clock.now();
    const outcome = await exportAttempt(this.exporter, batch, context, { clock: this.clock });
    settle(permit, outcome, signal, this.clock.now() - startedAt);
    return outcome;
  }
}

/** Tells a `CircuitBreakerSpanExporter` by its brand, whichever copy of this package made it. */
export function isCircuitBreakerSpanExporter(value: unknown): value is CircuitBreakerSpanExporter {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

function settle(permit: BreakerPermit, outcome: ExportOutcome, signal: AbortSignal, durationMillis: number): void {
  switch (outcome.failure) {
    case undefined:
      if (outcome.delivered + outcome.rejected === 0 && reachedNobody(outcome)) permit.release();
      else permit.success({ durationMillis });
      return;
    case 'permanent':
      permit.success({ durationMillis });
      return;
    case 'retryable':
      if (signal.aborted && !isTimeout(signal.reason)) permit.release();
      else permit.failure({ durationMillis });
      return;
    default:
      permit.release();
  }
}

/** Stored or dropped below, so nobody knows what the backend would have said. An empty batch that is taken is an answer. */
function reachedNobody({ stored, dropped }: ExportOutcome): boolean {
  return stored > 0 || Object.keys(dropped).length > 0;
}

/** An abort from above is a verdict on the backend only when it says that time is up. */
function isTimeout(reason: unknown): boolean {
  return (reason as { code?: unknown } | null | undefined)?.code === 'DEADLINE_EXCEEDED';
}

function cutOff(batch: SpanBatch, reason: unknown): ExportOutcome {
  const { failure, error } = classifyFailure(reason);
  return failedOutcome(batch, failure, error);
}

function ownBreaker({ exporter: _, breaker: __, ...options }: CircuitBreakerSpanExporterOptions): CircuitBreaker {
  readCircuitBreakerOptions('CircuitBreakerSpanExporter', options); // So that its errors name the option where it was given.
  return new CircuitBreaker(options);
}

function alone(breaker: CircuitBreaker, options: CircuitBreakerSpanExporterOptions): CircuitBreaker {
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined || option === 'exporter' || option === 'breaker' || option === 'clock') continue;
    throw new ConfigurationError(
      `CircuitBreakerSpanExporter.${option}`,
      'no option of a breaker beside `breaker`',
      value,
    );
  }
  return breaker;
}

function aBreaker(value: unknown, path: string): CircuitBreaker {
  if (isCircuitBreaker(value)) return value;
  throw new ConfigurationError(path, 'a CircuitBreaker', value);
}
