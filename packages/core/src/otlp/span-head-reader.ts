import type { Lane } from '../lane.js';
import type { SpanHead } from '../span-batch-summary.js';
import { FIXED32, FIXED64, type FieldReader, LENGTH_DELIMITED, VARINT } from './wire.js';

const STATUS_CODE_ERROR = 2;
// Span.flags, above the W3C trace flags: "bit 8 and 9 represent the 3 states of whether a span's parent is remote".
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;
const REMOTE_PARENT = HAS_IS_REMOTE | IS_REMOTE;

/** Reads of a Span what a summary needs: what `spanHead` takes from an SDK span, to the same result. */
export function readSpanHead(span: FieldReader, service: string): SpanHead {
  let traceId = '';
  let spanId = '';
  let hasParent = false;
  let startMillis = 0;
  let endMillis = 0;
  let statusCode = 0;
  let flags = 0;
  while (span.next()) {
    if (span.is(1, LENGTH_DELIMITED)) traceId = span.hex();
    else if (span.is(2, LENGTH_DELIMITED)) spanId = span.hex();
    else if (span.is(4, LENGTH_DELIMITED)) hasParent = span.valueLength > 0;
    else if (span.is(7, FIXED64)) startMillis = span.fixed64NanosAsMillis();
    else if (span.is(8, FIXED64)) endMillis = span.fixed64NanosAsMillis();
    else if (span.is(15, LENGTH_DELIMITED)) statusCode = readStatusCode(span.message(), statusCode);
    else if (span.is(16, FIXED32)) flags = span.fixed32();
  }
  const isLocalRoot = !hasParent || (flags & REMOTE_PARENT) === REMOTE_PARENT;
  const lane: Lane = statusCode === STATUS_CODE_ERROR ? 'errors' : isLocalRoot ? 'localRoots' : 'rest';
  return { traceId, spanId, lane, service, startMillis, endMillis };
}

function readStatusCode(status: FieldReader, before: number): number {
  let code = before;
  while (status.next()) if (status.is(3, VARINT)) code = status.varint();
  return code;
}

/** `service.name` of a Resource, or '' when it has none. Where keys repeat, the last one counts, as in an object. */
export function readServiceName(resources: readonly FieldReader[]): string {
  let service = '';
  for (const resource of resources) {
    while (resource.next()) if (resource.is(1, LENGTH_DELIMITED)) service = readIfServiceName(resource) ?? service;
  }
  return service;
}

function readIfServiceName(attribute: FieldReader): string | undefined {
  let isServiceName = false;
  let service = '';
  const keyValue = attribute.message();
  while (keyValue.next()) {
    if (keyValue.is(1, LENGTH_DELIMITED)) isServiceName = isText(keyValue, 'service.name');
    else if (keyValue.is(2, LENGTH_DELIMITED)) service = readStringValue(keyValue.message());
  }
  return isServiceName ? service : undefined;
}

function isText(field: FieldReader, text: string): boolean {
  return field.valueLength === text.length && field.text() === text;
}

/** An AnyValue's string; '' when it holds something else. */
function readStringValue(value: FieldReader): string {
  let text = '';
  while (value.next()) text = value.is(1, LENGTH_DELIMITED) ? value.text() : '';
  return text;
}
