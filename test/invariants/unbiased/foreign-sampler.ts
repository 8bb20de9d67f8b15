import { TraceFlags } from '@opentelemetry/api';
import { TraceState } from '@opentelemetry/core';
import type { Random } from './random.js';
import { PropagatedSpan } from './sim-span.js';
import type { ForeignParent } from './workload.js';
import { probabilityOf } from './written-threshold.js';

/**
 * A consistent probability sampler of somebody else, with randomness of its own at times; one in seven of its callers
 * writes no threshold, one in twenty a wrong one.
 */
export function foreignParent(
  random: Random,
  traceId: string,
  rates: readonly string[],
): { foreign: ForeignParent; randomness: string } {
  const explicit = random.chance(0.3);
  const randomness = explicit ? (random.hex32() + random.hex32()).slice(2) : traceId.slice(-14);
  const th = rates[random.integer(0, rates.length - 1)]!;
  const isSampled = randomness >= th.padEnd(14, '0');
  const kind = random.unit();
  const rv = explicit ? `;rv:${randomness}` : '';
  let ot = isSampled ? `th:${th}${rv}` : rv.slice(1);
  let sampled = isSampled;
  if (kind < 0.15) ot = rv.slice(1);
  // A threshold that its own randomness does not reach, as of a sampler that ignores the specification.
  else if (kind < 0.2 && !isSampled) {
    ot = `th:${th}${rv}`;
    sampled = true;
  }
  if (ot !== '' && random.chance(0.2)) ot += ';x:1';
  const members = ot === '' ? [] : [`ot=${ot}`];
  if (random.chance(0.3)) members.unshift('vendor=opaque');
  const span = new PropagatedSpan({
    traceId,
    spanId: random.hex32() + random.hex32(),
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    traceState: members.length > 0 ? new TraceState(members.join(',')) : undefined,
  });
  const known = kind >= 0.2 ? probabilityOf(th) : undefined;
  return { foreign: { span, probability: known, hasThreshold: kind >= 0.15 }, randomness };
}
