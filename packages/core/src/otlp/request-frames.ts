import { Buffer } from 'node:buffer';
import { FieldReader, LENGTH_DELIMITED } from './wire.js';

/** A run of bytes: from `start` (inclusive) to `end` (exclusive). */
export interface Run {
  readonly start: number;
  readonly end: number;
}

/** What a message holds besides the parts that are picked from: resource or scope, schema URL, fields not known to us. */
export interface Frame {
  /** Before the first of the parts. */
  readonly head: Run[];
  /** After it. */
  readonly tail: Run[];
}

/** One ScopeSpans, and where its spans are: each a `spans` field, tag and length included. */
export interface ScopeFrame extends Frame {
  readonly spans: readonly Run[];
}

/** One ResourceSpans. Positions are within `bytes`. */
export interface ResourceFrame extends Frame {
  readonly bytes: Uint8Array;
  /** The values of its `resource` field: one, or several that protobuf merges. */
  readonly resources: readonly FieldReader[];
  readonly scopes: readonly ScopeFrame[];
}

/** An ExportTraceServiceRequest, as far as its frames go. */
export interface RequestFrames {
  readonly resources: readonly ResourceFrame[];
  /** Fields of the request itself that we do not know. */
  readonly rest: readonly Uint8Array[];
}

/**
 * Finds every span of a request: `{ 1: ResourceSpans { 1: resource, 2: ScopeSpans { 1: scope, 2: span } } }`.
 * Spans are stepped over, not read. Throws a `MalformedOtlpError` when the bytes are not such a request.
 */
export function readRequestFrames(chunks: readonly Uint8Array[]): RequestFrames {
  const resources: ResourceFrame[] = [];
  const rest: Uint8Array[] = [];
  for (const bytes of wholeMessages(chunks)) {
    const request = new FieldReader(bytes);
    while (request.next()) {
      if (request.is(1, LENGTH_DELIMITED)) resources.push(readResourceFrame(bytes, request.message()));
      else rest.push(bytes.subarray(request.fieldStart, request.fieldEnd));
    }
  }
  return { resources, rest };
}

function readResourceFrame(bytes: Uint8Array, fields: FieldReader): ResourceFrame {
  const resources: FieldReader[] = [];
  const head: Run[] = [];
  const tail: Run[] = [];
  const scopes: ScopeFrame[] = [];
  while (fields.next()) {
    if (fields.is(2, LENGTH_DELIMITED)) {
      scopes.push(readScopeFrame(fields.message()));
      continue;
    }
    if (fields.is(1, LENGTH_DELIMITED)) resources.push(fields.message());
    addRun(scopes.length === 0 ? head : tail, fields.fieldStart, fields.fieldEnd);
  }
  return { bytes, resources, head, scopes, tail };
}

function readScopeFrame(fields: FieldReader): ScopeFrame {
  const head: Run[] = [];
  const tail: Run[] = [];
  const spans: Run[] = [];
  while (fields.next()) {
    if (fields.is(2, LENGTH_DELIMITED)) spans.push({ start: fields.fieldStart, end: fields.fieldEnd });
    else addRun(spans.length === 0 ? head : tail, fields.fieldStart, fields.fieldEnd);
  }
  return { head, spans, tail };
}

/** Adds a run, as a part of the last one when it follows on it. */
export function addRun(runs: Run[], start: number, end: number): void {
  const last = runs.at(-1);
  if (last?.end === start) runs[runs.length - 1] = { start: last.start, end };
  else runs.push({ start, end });
}

/**
 * A protobuf message may be cut at any byte, and its parts are one message when joined. Encoders cut between fields
 * of the request, so that each chunk is a message of its own; what is cut elsewhere is joined first.
 */
export function wholeMessages(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  if (chunks.length <= 1 || chunks.every(isWhole)) return chunks;
  return [Buffer.concat(chunks)];
}

// The first chunk begins with a field; so each of the others does, if all before it end with one.
function isWhole(chunk: Uint8Array): boolean {
  try {
    const fields = new FieldReader(chunk);
    while (fields.next());
    return true;
  } catch {
    return false;
  }
}
