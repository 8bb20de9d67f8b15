import { Buffer } from 'node:buffer';
import type { InstrumentationScope, Resource } from '../sdk-types.js';
import { type Envelope, resourceEnvelope, scopeEnvelope } from './envelope.js';
import { delimitedSize, writeDelimited } from './wire.js';

/** Encoded spans of one resource and scope: `bytes` from `start` to `end`. */
export interface SpanRun {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface WrittenRequest {
  /** An `ExportTraceServiceRequest`, of exactly its size. */
  readonly bytes: Uint8Array;
  /** Where each run begins in it, in the order of the runs. */
  readonly starts: readonly number[];
}

/** Puts runs of spans into their envelopes. Runs of one resource should come with one another, and may. */
export function writeRequest(runs: readonly SpanRun[]): WrittenRequest {
  const plans = planResources(runs);
  const size = plans.reduce((sum, { length }) => sum + delimitedSize(length), 0);
  // Of its own, since it will be kept; and not zeroed, since all of it is written.
  const bytes = Buffer.allocUnsafeSlow(size);
  const starts: number[] = Array(runs.length).fill(0);
  let at = 0;
  const copy = (source: Uint8Array) => {
    bytes.set(source, at);
    at += source.length;
  };
  for (const { envelope, scopes, length } of plans) {
    at = writeDelimited(bytes, at, 1, length);
    copy(envelope.head);
    for (const scope of scopes) {
      at = writeDelimited(bytes, at, 2, scope.length);
      copy(scope.envelope.head);
      starts[scope.index] = at;
      copy(scope.run.bytes.subarray(scope.run.start, scope.run.end));
      copy(scope.envelope.tail);
    }
    copy(envelope.tail);
  }
  return { bytes, starts };
}

interface ScopePlan {
  readonly run: SpanRun;
  readonly index: number;
  readonly envelope: Envelope;
  readonly length: number;
}

interface ResourcePlan {
  readonly envelope: Envelope;
  readonly scopes: ScopePlan[];
  length: number;
}

function planResources(runs: readonly SpanRun[]): ResourcePlan[] {
  const plans = new Map<Resource, ResourcePlan>();
  for (const [index, run] of runs.entries()) {
    let plan = plans.get(run.resource);
    if (!plan) {
      const envelope = resourceEnvelope(run.resource);
      plan = { envelope, scopes: [], length: lengthOf(envelope) };
      plans.set(run.resource, plan);
    }
    const envelope = scopeEnvelope(run.scope);
    const length = lengthOf(envelope) + run.end - run.start;
    plan.scopes.push({ run, index, envelope, length });
    plan.length += delimitedSize(length);
  }
  return [...plans.values()];
}

const lengthOf = ({ head, tail }: Envelope): number => head.length + tail.length;
