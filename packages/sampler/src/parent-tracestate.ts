import { createTraceState, type TraceState } from '@opentelemetry/api';
import { writtenThreshold } from './threshold.js';
import { withThreshold } from './tracestate.js';

/** W3C Trace Context: what everybody must propagate, and what some drop when it is more. */
const MAX_LENGTH = 512;
const MAX_MEMBERS = 32;

export interface RewrittenTraceState {
  /** `undefined` when the old one says it already. */
  readonly traceState: TraceState | undefined;
  /** Whether it has the threshold asked for. (It has none when that was asked for, and when it would not fit.) */
  readonly written: boolean;
}

/**
 * A tracestate with this threshold (14 hex digits) in its `ot` member, or with none, and all else as it was. It is made
 * by the tracestate's own `set` and `unset`, which may be anybody's, and the result is looked at: core's `set` returns
 * the old one when the new one is longer than 512 characters, the API's makes one that is too long. What did not take
 * becomes one without a threshold, for a missing threshold is honest and a stale one is not. Never throws.
 */
export function rewriteThreshold(traceState: TraceState | undefined, hex: string | undefined): RewrittenTraceState {
  const th = hex === undefined ? undefined : writtenThreshold(hex);
  if (traceState === undefined) {
    return { traceState: th === undefined ? undefined : createTraceState(`ot=th:${th}`), written: true };
  }
  const value = otOf(traceState);
  const wanted = withThreshold(value, th);
  if (wanted === (value ?? '')) return { traceState: undefined, written: true };
  const rewritten = attempt(traceState, wanted);
  if (rewritten) return { traceState: rewritten, written: true };
  const without = withThreshold(value, undefined);
  const erased = (wanted === without ? undefined : attempt(traceState, without)) ?? rebuilt(traceState);
  return { traceState: erased, written: th === undefined };
}

/** The value of `ot`; what is not a string is for the parser to refuse. Never throws. */
export function otOf(traceState: TraceState | undefined): unknown {
  try {
    return traceState?.get('ot');
  } catch {
    return UNREADABLE;
  }
}

/** Too long to be read, too long to be kept. */
const UNREADABLE = ' '.repeat(MAX_LENGTH);

function attempt(traceState: TraceState, value: string): TraceState | undefined {
  try {
    const next = value === '' ? traceState.unset('ot') : traceState.set('ot', value);
    return says(next, value) ? next : undefined;
  } catch {
    return undefined;
  }
}

function says(traceState: TraceState, value: string): boolean {
  if ((traceState.get('ot') ?? '') !== value) return false;
  const text = traceState.serialize();
  if (typeof text !== 'string' || text.length > MAX_LENGTH) return false;
  // A member is no shorter than `a=b,`, so in what is short there cannot be too many.
  const few = text.length < 4 * MAX_MEMBERS;
  const own = value === '' ? '' : `ot=${value}`;
  const first = text.startsWith(own) && !text.includes('ot=', own.length);
  if (few && first && (own === '' || text.length === own.length || text[own.length] === ',')) return true;
  const members = text.split(',');
  const ot = members.map((member) => member.trim()).filter((member) => member.startsWith('ot='));
  return members.length <= MAX_MEMBERS && (own === '' ? ot.length === 0 : ot.length === 1 && ot[0] === own);
}

/** From what it would have sent, without `ot`; and nothing when that cannot be used either. */
function rebuilt(traceState: TraceState): TraceState {
  try {
    const text = traceState.serialize();
    const members = text.split(',').filter((member) => member.trim() !== '' && !member.trim().startsWith('ot='));
    const next = createTraceState(members.slice(0, MAX_MEMBERS).join(','));
    if (says(next, '')) return next;
  } catch {
    // It is nothing that could be propagated.
  }
  return createTraceState();
}
