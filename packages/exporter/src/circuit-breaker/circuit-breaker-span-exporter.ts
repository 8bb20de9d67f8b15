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
  isTimeout,
  LimitedLog,
  optional,
  readOptions,
  type SpanBatch,
  type SpanBatchExporter,
  SpanBatchExporterBase,
  type SpanExporter,
} from '@otel-resilience/core';
import { CircuitBreaker, isCircuitBreaker } from './circuit-breaker.js';
import { CIRCUIT_BREAKER_SCHEMA, type CircuitBreakerOptions, readCircuitBreakerOptions } from './options.js';
import { PatientCall } from './patient-call.js';
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
 * An acknowledgement that comes after its attempt was given up changes nothing: that attempt has been judged. But it is
 * passed on to whoever has set `context.onLateAcknowledgement`, and while attempts run out of time one call at a time is
 * not cancelled with its attempt, so that one can come: see {@link PatientCall}.
 */
export class CircuitBreakerSpanExporter extends SpanBatchExporterBase {
  readonly breaker: CircuitBreaker;
  private readonly exporter: SpanBatchExporter;
  /** The latest attempt that asked the exporter ran out of time. */
  private ranOutOfTime = false;
  private patientCall: PatientCall | undefined;
  private openAttempts = 0;
  private unanswered: number | undefined;
  private readonly log: LimitedLog;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: CircuitBreakerSpanExporterOptions) {
    const read = readOptions('CircuitBreakerSpanExporter', options, SCHEMA);
    const { clock } = read;
    const exporter = adaptSpanExporter(read.exporter, { clock });
    super({ children: [exporter], clock });
    Object.defineProperty(this, BRAND, { value: true });
    this.exporter = exporter;
    this.breaker = read.breaker ? alone(read.breaker, options) : ownBreaker(options);
    this.log = new LimitedLog(this.breaker.name, { clock });
  }

  /**
   * How long a late call was waited for in vain, until its own timeout, in milliseconds: the exporter gives up too soon
   * for a backend that takes longer, or the backend is dead. `undefined` since anything was answered.
   */
  get unansweredMillis(): number | undefined {
    return this.unanswered;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    const { signal, deadline } = context;
    if (signal.aborted) return cutOff(batch, signal.reason);
    // Out of time before the backend was asked: our own delay is none of its failures.
    if (deadline <= this.clock.now())
      return cutOff(batch, new ExportError('DEADLINE_EXCEEDED', 'no time left to export'));
    if (this.patientCall?.isOverdue && this.openAttempts + 1 >= this.maxConcurrentExports) {
      return cutOff(batch, new ExportError('REFUSED', 'a late call has the last slot of the exporter'));
    }
    const permit = this.breaker.tryAcquire(context);
    if (!permit) {
      const message = `${this.breaker.name} is ${this.breaker.state}`;
      return failedOutcome(batch, 'refused', new ExportError('REFUSED', message));
    }
    const startedAt = this.clock.now();
    const outcome = await this.attempt(batch, context);
    settle(permit, outcome, signal, this.clock.now() - startedAt);
    return outcome;
  }

  /** Whoever flushes has seen to it that what the late call sends is safe without it. */
  protected override async onFlush(): Promise<void> {
    this.patientCall?.giveWay(
      new ExportError('DEADLINE_EXCEEDED', 'no answer in time, and a flush must not wait for it'),
    );
  }

  protected override async onShutdown(): Promise<void> {
    this.patientCall?.giveWay(this.shutdownSignal.reason);
  }

  private async attempt(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const isPatient = this.ranOutOfTime && !this.patientCall && context.onLateAcknowledgement !== undefined;
    const exporter = isPatient ? this.callPatiently() : this.exporter;
    this.openAttempts++;
    const outcome = await exportAttempt(exporter, batch, context, { clock: this.clock, passesSignal: true });
    this.openAttempts--;
    if (outcome.failure !== 'refused') this.ranOutOfTime = outcome.remaining !== undefined && isTimeout(outcome.error);
    if (!this.ranOutOfTime) this.unanswered = undefined;
    return outcome;
  }

  private callPatiently(): PatientCall {
    const call: PatientCall = new PatientCall(this.exporter, this.clock, {
      onEnd: () => {
        if (this.patientCall === call) this.patientCall = undefined;
      },
      onUnanswered: (afterMillis) => {
        if (this.unanswered === undefined) this.log.warn('unanswered', () => waitedInVain(afterMillis));
        this.unanswered = afterMillis;
      },
    });
    this.patientCall = call;
    return call;
  }
}

/** Whoever is slow looks as whoever is dead does. */
export const waitedInVain = (millis: number): string =>
  `no answer within ${Math.round(millis)} ms to a call that was waited for; if the backend is slow, not dead, give its ` +
  'exporter a longer timeoutMillis (OTEL_EXPORTER_OTLP_TIMEOUT), or it gets the same spans again and again';

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
      // An abort from above is a verdict on the backend only when it says that time is up.
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
