import type { ReadableSpan } from '@otel-resilience/core';
import type { WireSpan } from './otlp-proto.js';

/**
 * NORMALISE.md as a program: what an OTLP request must carry of spans, whatever they are. Written from the rules, and
 * for clarity; it shares nothing with the encoder. Spans of one resource stand together, and in it those of one scope:
 * groups are in the order of their first spans, be it in `groupedLike`, of which these are a part. The result has the
 * shape of {@link import('./otlp-proto.js')}'s decoder with every default filled in, so that the two can be compared.
 */
export function normalise(
  spans: readonly ReadableSpan[],
  { groupedLike = spans }: { groupedLike?: readonly ReadableSpan[] } = {},
): WireSpan[] {
  const readable = spans.flatMap((span) => {
    const content = normaliseSpan(span);
    return content ? [{ ...groupOf(span), content }] : [];
  });
  const groups = distinctGroups(groupedLike === spans ? readable : groupedLike.map(groupOf))
    .map((group) => ({ ...group, spans: readable.filter((span) => isOf(group, span)) }))
    .filter(({ spans }) => spans.length > 0);
  const resources = [...new Set(groups.map(({ resource }) => resource))];
  return resources.flatMap((resource) =>
    groups
      .filter((group) => group.resource === resource)
      .flatMap(({ scope, spans }) => {
        const envelope = { ...normaliseResource(resource), ...normaliseScope(scope) };
        return spans.map(({ content }) => ({ ...envelope, span: content }));
      }),
  );
}

interface Group {
  readonly resource: unknown;
  readonly scope: unknown;
}

/** What the rules call its resource: nothing, if asking for it throws. */
export const resourceOf = (span: ReadableSpan): unknown => member(span, 'resource');

const groupOf = (span: ReadableSpan): Group => ({
  resource: resourceOf(span),
  scope: member(span, 'instrumentationScope'),
});

const isOf = (group: Group, other: Group): boolean => group.resource === other.resource && group.scope === other.scope;

function distinctGroups(all: readonly Group[]): Group[] {
  const distinct: Group[] = [];
  for (const { resource, scope } of all) {
    if (!distinct.some((group) => isOf(group, { resource, scope }))) distinct.push({ resource, scope });
  }
  return distinct;
}

function normaliseResource(resource: unknown): Pick<WireSpan, 'resource' | 'resourceSchemaUrl'> {
  const attributes = normaliseAttributes(() => member(resource, 'attributes'), { left: MAX_ELEMENTS });
  return {
    resource: { attributes: attributes.kept, droppedAttributesCount: 0 },
    resourceSchemaUrl: text(member(resource, 'schemaUrl')),
  };
}

function normaliseScope(scope: unknown): Pick<WireSpan, 'scope' | 'scopeSchemaUrl'> {
  const attributes = normaliseAttributes(() => member(scope, 'attributes'), { left: MAX_ELEMENTS });
  return {
    scope: {
      name: text(member(scope, 'name')),
      version: text(member(scope, 'version')),
      attributes: attributes.kept,
      droppedAttributesCount: count(member(scope, 'droppedAttributesCount')),
    },
    scopeSchemaUrl: text(member(scope, 'schemaUrl')),
  };
}

/** The content of a `Span`; nothing when the span cannot be read. */
export function normaliseSpan(span: ReadableSpan): Record<string, unknown> | undefined {
  const context = read(() => span.spanContext());
  const traceId = id(member(context, 'traceId'), 32);
  const spanId = id(member(context, 'spanId'), 16);
  if (traceId === undefined || spanId === undefined) return undefined;

  const budget: Budget = { left: MAX_ELEMENTS };
  const parent = member(span, 'parentSpanContext');
  const attributes = normaliseAttributes(() => span.attributes, budget);
  const events = list(member(span, 'events')).map((event) => normaliseEvent(event, budget));
  const links = list(member(span, 'links')).map((link) => normaliseLink(link, budget));
  const keptLinks = links.filter((link) => link !== undefined);
  const status = member(span, 'status');
  const statusCode = member(status, 'code');
  const kind = member(span, 'kind');
  return {
    traceId,
    spanId,
    traceState: traceState(context),
    parentSpanId: id(member(parent, 'spanId'), 16) ?? '',
    flags: flags(context, member(parent, 'isRemote')),
    name: text(member(span, 'name')),
    kind: [0, 1, 2, 3, 4].includes(kind as number) ? (kind as number) + 1 : 0,
    startTimeUnixNano: nanos(member(span, 'startTime')),
    endTimeUnixNano: nanos(member(span, 'endTime')),
    attributes: attributes.kept,
    droppedAttributesCount: count(member(span, 'droppedAttributesCount'), attributes.leftOut),
    events,
    droppedEventsCount: count(member(span, 'droppedEventsCount')),
    links: keptLinks,
    droppedLinksCount: count(member(span, 'droppedLinksCount'), links.length - keptLinks.length),
    status: {
      message: text(member(status, 'message')),
      code: statusCode === 1 || statusCode === 2 ? statusCode : 0,
    },
  };
}

function normaliseEvent(event: unknown, budget: Budget): object {
  const attributes = normaliseAttributes(() => member(event, 'attributes'), budget);
  return {
    timeUnixNano: nanos(member(event, 'time')),
    name: text(member(event, 'name')),
    attributes: attributes.kept,
    droppedAttributesCount: count(member(event, 'droppedAttributesCount'), attributes.leftOut),
  };
}

function normaliseLink(link: unknown, budget: Budget): object | undefined {
  const context = member(link, 'context');
  const traceId = id(member(context, 'traceId'), 32);
  const spanId = id(member(context, 'spanId'), 16);
  if (traceId === undefined || spanId === undefined) return undefined;
  const attributes = normaliseAttributes(() => member(link, 'attributes'), budget);
  return {
    traceId,
    spanId,
    traceState: traceState(context),
    attributes: attributes.kept,
    droppedAttributesCount: count(member(link, 'droppedAttributesCount'), attributes.leftOut),
    flags: flags(context, member(context, 'isRemote')),
  };
}

const MAX_DEPTH = 30;
const MAX_ELEMENTS = 1_000_000;

/** How many elements the containers of a span may still have. */
interface Budget {
  left: number;
}

interface Attributes {
  readonly kept: object[];
  /** Attributes left out, or kept without a part of theirs. */
  readonly leftOut: number;
}

function normaliseAttributes(get: () => unknown, budget: Budget): Attributes {
  const attributes = read(get);
  const kept: object[] = [];
  let leftOut = 0;
  // What cannot be listed is missing; how many those were nobody knows.
  for (const key of read(() => ownKeys(attributes)) ?? []) {
    const cut: Cut = { was: false };
    try {
      const value = anyValue((attributes as Record<string, unknown>)[key], { budget, within: [], cut });
      kept.push({ key: wellFormed(key), value });
      if (cut.was) leftOut++;
    } catch {
      leftOut++;
    }
  }
  return { kept, leftOut };
}

interface Cut {
  was: boolean;
}

interface Place {
  readonly budget: Budget;
  /** The containers around the value, the outermost first. */
  readonly within: readonly object[];
  readonly cut: Cut;
}

function anyValue(value: unknown, place: Place): object {
  switch (typeof value) {
    case 'string':
      return { stringValue: wellFormed(value) };
    case 'boolean':
      return { boolValue: value };
    case 'number':
      return isInt64(value) ? { intValue: String(BigInt(value)) } : { doubleValue: value };
    case 'bigint':
      return value >= -(2n ** 63n) && value < 2n ** 63n ? { intValue: String(value) } : { stringValue: String(value) };
    case 'object':
      return value === null ? {} : container(value, place);
    default:
      return {};
  }
}

const isInt64 = (value: number): boolean => Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63;

function container(value: object, { budget, within, cut }: Place): object {
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') };
  if (within.length === MAX_DEPTH || within.includes(value)) {
    cut.was = true;
    return {};
  }
  const place: Place = { budget, within: [...within, value], cut };
  const values: object[] = [];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && takeElement(place); i++) values.push(anyValue(value[i], place));
    return { arrayValue: { values } };
  }
  for (const key of ownKeys(value)) {
    if (!takeElement(place)) break;
    values.push({ key: wellFormed(key), value: anyValue((value as Record<string, unknown>)[key], place) });
  }
  return { kvlistValue: { values } };
}

function takeElement({ budget, cut }: Place): boolean {
  if (budget.left === 0) {
    cut.was = true;
    return false;
  }
  budget.left--;
  return true;
}

/** Own and enumerable, of what is an object. */
function ownKeys(value: unknown): string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

/** In Base64, as protobufjs shows bytes. */
function id(value: unknown, digits: number): string | undefined {
  if (typeof value !== 'string' || value.length > digits || !/^[0-9a-fA-F]+$/.test(value)) return undefined;
  return Buffer.from(value.padStart(digits, '0'), 'hex').toString('base64');
}

function traceState(context: unknown): string {
  const state = member(context, 'traceState') as { serialize(): unknown } | undefined;
  const serialized = read(() => state?.serialize());
  return typeof serialized === 'string' ? wellFormed(serialized) : '';
}

function flags(context: unknown, isRemote: unknown): number {
  const traceFlags = member(context, 'traceFlags');
  return (typeof traceFlags === 'number' ? traceFlags & 0xff : 0) + 0x100 + (isRemote ? 0x200 : 0);
}

function nanos(time: unknown): string {
  const [seconds, rest] = list(time);
  if (typeof seconds !== 'number' || typeof rest !== 'number' || Number.isNaN(seconds + rest)) return '0';
  const max = 2n ** 64n - 1n;
  if (seconds + rest === Number.POSITIVE_INFINITY) return String(max);
  if (seconds + rest === Number.NEGATIVE_INFINITY) return '0';
  const whole = Math.floor(seconds);
  const sum = BigInt(whole) * 10n ** 9n + BigInt(Math.floor((seconds - whole) * 1e9 + rest));
  return String(sum < 0n ? 0n : sum > max ? max : sum);
}

function count(value: unknown, leftOut = 0): number {
  const dropped = typeof value === 'number' && value >= 1 ? Math.floor(value) : 0;
  return Math.min(dropped + leftOut, 2 ** 32 - 1);
}

function text(value: unknown): string {
  if (typeof value === 'string') return wellFormed(value);
  return ['number', 'boolean', 'bigint'].includes(typeof value) ? String(value) : '';
}

/** Every half of a surrogate pair that stands alone becomes U+FFFD. */
function wellFormed(value: string): string {
  // ES2024, newer than the `lib` that this project is checked against; every Node that it runs on has it.
  return (value as string & { toWellFormed(): string }).toWellFormed();
}

/** An array's elements. */
function list(value: unknown): unknown[] {
  const isList = read(() => Array.isArray(value)) === true;
  return isList ? Array.from({ length: (value as unknown[]).length }, (_, i) => member(value, String(i))) : [];
}

function member(of: unknown, name: string): unknown {
  return read(() => (of as Record<string, unknown> | null | undefined)?.[name]);
}

/** What cannot be read is missing. */
function read<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}
