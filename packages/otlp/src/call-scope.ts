import { type Clock, ExportError, isTimeout, type Timer } from '@otel-resilience/core';
import type { OtlpRequest } from './otlp-transport.js';

// `grpc-timeout` has eight digits at most.
const MAX_TIMEOUT_MILLIS = 99_999_999;

/** What bounds one send, connecting and a repetition included: the caller's signal and the deadline, as one signal. */
export class CallScope {
  private readonly deadline: number;
  private readonly controller = new AbortController();
  private readonly outer: AbortSignal;
  private readonly clock: Clock;
  private readonly timer: Timer | undefined;

  constructor({ signal, deadline }: Pick<OtlpRequest, 'signal' | 'deadline'>, clock: Clock) {
    this.deadline = deadline;
    this.outer = signal;
    this.clock = clock;
    if (signal.aborted) {
      this.abort(signal.reason);
      return;
    }
    const millis = deadline - clock.now();
    if (millis <= 0) {
      this.abort(new ExportError('DEADLINE_EXCEEDED', 'no time left to send'));
      return;
    }
    signal.addEventListener('abort', this.onAbort);
    this.timer = clock.setTimeout(() => {
      this.abort(new ExportError('DEADLINE_EXCEEDED', `no answer within ${Math.round(millis)} ms`));
    }, millis);
  }

  /** Its reason is the caller's, or DEADLINE_EXCEEDED, or what `abort` was given: the first of them. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Whether it was time that ended it. The caller's own timer is set to the same deadline, and may be first. */
  get expired(): boolean {
    return this.signal.aborted && isTimeout(this.signal.reason);
  }

  /** What is left for the answer, in whole milliseconds, from 1 to 99,999,999. */
  get remainingMillis(): number {
    return Math.min(Math.max(1, Math.ceil(this.deadline - this.clock.now())), MAX_TIMEOUT_MILLIS);
  }

  /** Ends it before its time. */
  abort(reason: unknown): void {
    this.close();
    this.controller.abort(reason);
  }

  /** To be called when the send has its result: leaves no timer and no listener. */
  close(): void {
    this.clock.clearTimeout(this.timer);
    this.outer.removeEventListener('abort', this.onAbort);
  }

  private readonly onAbort = (): void => this.abort(this.outer.reason);
}

/** What `promise` brings; rejects with the signal's reason when that aborts first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
