/**
 * The `ot` member of a tracestate, `th:…;rv:…;…`: what it says, and how its threshold is replaced. Pure functions on
 * its value; `parent-tracestate.ts` applies them to tracestate objects.
 */
/** OpenTelemetry: "the length of the value of `ot` … 256 characters". */
export const MAX_OT_LENGTH = 256;

export interface OtValue {
  /** The threshold as 14 lower-case hex digits. `undefined`: none, or none that can be trusted. */
  readonly th: string | undefined;
  /** The explicit randomness as 14 lower-case hex digits. */
  readonly rv: string | undefined;
}

const NOTHING: OtValue = Object.freeze({ th: undefined, rv: undefined });

// The specification has lower case only. Others read capitals too, and we must come to their numbers.
const TH = /^[0-9a-fA-F]{1,14}$/;
const RV = /^[0-9a-fA-F]{14}$/;

/**
 * Reads the value of `ot`. A member that is malformed, or there twice, says nothing; and with a randomness that says
 * nothing a threshold does not either, for nobody knows which one it was applied to.
 */
export function parseOt(value: unknown): OtValue {
  if (typeof value !== 'string' || value === '' || value.length > MAX_OT_LENGTH) return NOTHING;
  let th: string | undefined;
  let rv: string | undefined;
  for (let from = 0; from < value.length; ) {
    const semicolon = value.indexOf(';', from);
    const to = semicolon === -1 ? value.length : semicolon;
    if (value.startsWith('th:', from)) {
      th = th === undefined ? value.slice(from + 3, to) : MALFORMED;
    } else if (value.startsWith('rv:', from)) {
      rv = rv === undefined ? value.slice(from + 3, to) : MALFORMED;
    }
    from = to + 1;
  }
  const randomness = rv !== undefined && RV.test(rv) ? rv.toLowerCase() : undefined;
  const trusted = th !== undefined && TH.test(th) && (rv === undefined || randomness !== undefined);
  return { th: trusted ? th!.toLowerCase().padEnd(14, '0') : undefined, rv: randomness };
}

/** Matches neither {@link TH} nor {@link RV}. */
const MALFORMED = '';

/**
 * The value with this threshold (as written: `8`, not 14 digits) or, with `undefined`, without one. It comes first;
 * the other members stay byte for byte and in order, but for a randomness that says nothing: everybody must fall back
 * to the trace id, as we do. `''` when nothing is left. A value that is no string, or too long, is dropped; and so is the
 * threshold when there is no room for it.
 */
export function withThreshold(value: unknown, th: string | undefined): string {
  const others = typeof value === 'string' && value.length <= MAX_OT_LENGTH ? withoutThreshold(value) : '';
  if (th === undefined) return others;
  const written = others === '' ? `th:${th}` : `th:${th};${others}`;
  return written.length <= MAX_OT_LENGTH ? written : others;
}

function withoutThreshold(value: string): string {
  const { rv } = value.includes('rv:') ? parseOt(value) : NOTHING;
  let others: string | undefined;
  for (let from = 0; from <= value.length; ) {
    const semicolon = value.indexOf(';', from);
    const to = semicolon === -1 ? value.length : semicolon;
    if (!value.startsWith('th:', from) && (rv !== undefined || !value.startsWith('rv:', from))) {
      const member = value.slice(from, to);
      others = others === undefined ? member : `${others};${member}`;
    }
    from = to + 1;
  }
  if (others === undefined || others.length === value.length) return others ?? '';
  // W3C: a value does not end with a space, but a member that stood before the one we took may have.
  return others.trimEnd();
}
