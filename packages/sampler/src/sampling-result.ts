import { type Attributes, createTraceState, type TraceState } from '@opentelemetry/api';
import { markLocalRootOnly } from './local-root-only.js';

/** `SamplingDecision` of the SDK: its numbers are part of the API. */
export const NOT_RECORD = 0;
export const RECORD = 1;
export const RECORD_AND_SAMPLED = 2;

/** As the SDK has it, on both majors. */
export interface SamplingResult {
  readonly decision: typeof NOT_RECORD | typeof RECORD | typeof RECORD_AND_SAMPLED;
  readonly attributes?: Readonly<Attributes>;
  /** `undefined`: that of the parent. */
  readonly traceState?: TraceState;
}

// The specification lets samplers return the same result again and again, and the SDK copies the attributes.
export const KEPT: SamplingResult = frozen(RECORD_AND_SAMPLED);
export const RECORDED: SamplingResult = frozen(RECORD);
export const NOT_RECORDED: SamplingResult = frozen(NOT_RECORD);
/** Of a root of which only the local root is recorded. */
export const LOCAL_ROOT_RECORDED: SamplingResult = frozen(RECORD, markLocalRootOnly(undefined));

/** Of a root that is kept with this threshold, as written. */
export function rootKeptWith(th: string): SamplingResult {
  return frozen(RECORD_AND_SAMPLED, Object.freeze(createTraceState(`ot=th:${th}`)));
}

/** The results differ in content, never in shape. */
export function samplingResult(
  decision: SamplingResult['decision'],
  traceState: TraceState | undefined,
  attributes: Readonly<Attributes> | undefined,
): SamplingResult {
  return { decision, attributes, traceState };
}

function frozen(decision: SamplingResult['decision'], traceState?: TraceState): SamplingResult {
  return Object.freeze(samplingResult(decision, traceState, undefined));
}
