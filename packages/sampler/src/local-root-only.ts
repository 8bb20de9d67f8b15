import { createTraceState, type TraceState } from '@opentelemetry/api';

/** Shared by the ESM and the CommonJS copy. */
const BRAND: unique symbol = Symbol.for('otel-resilience.local-root-only') as never;

/**
 * A tracestate that says, to whoever shares its process, that of its local trace only the local root is recorded: a
 * child sees of its parent nothing but the span context. On the wire it is the tracestate it wraps.
 */
class LocalRootOnlyTraceState implements TraceState {
  readonly [BRAND] = true;
  private readonly wrapped: TraceState;

  constructor(wrapped: TraceState) {
    this.wrapped = wrapped;
  }

  get(key: string): string | undefined {
    return this.wrapped.get(key);
  }

  set(key: string, value: string): TraceState {
    return new LocalRootOnlyTraceState(this.wrapped.set(key, value));
  }

  unset(key: string): TraceState {
    return new LocalRootOnlyTraceState(this.wrapped.unset(key));
  }

  /** What cannot be sent is not sent. */
  serialize(): string {
    try {
      const text: unknown = this.wrapped.serialize();
      return typeof text === 'string' ? text : '';
    } catch {
      return '';
    }
  }
}

export function markLocalRootOnly(traceState: TraceState | undefined): TraceState {
  return traceState ? new LocalRootOnlyTraceState(traceState) : EMPTY;
}

export function isLocalRootOnly(traceState: TraceState | undefined): boolean {
  return traceState !== undefined && BRAND in traceState;
}

const EMPTY = new LocalRootOnlyTraceState(createTraceState());
