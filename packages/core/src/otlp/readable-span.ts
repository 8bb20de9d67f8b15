import type { HrTime, SpanContext } from '@opentelemetry/api';
import type { Link, ReadableSpan, TimedEvent } from '../sdk-types.js';
import { unlessThrown } from './unless-thrown.js';

/**
 * What can be read of a span that cannot be written as it is: each member for itself, and of the type that it should
 * have. Attributes stay as they are: they are read one by one when they are written.
 */
export function readableSpan(span: ReadableSpan): ReadableSpan {
  const context = readableContext(unlessThrown(() => span.spanContext()));
  const parent = unlessThrown(() => span.parentSpanContext);
  const events = listOf(unlessThrown(() => span.events));
  const links = listOf(unlessThrown(() => span.links));
  return {
    name: textOf(unlessThrown(() => span.name)),
    kind: unlessThrown(() => span.kind) as ReadableSpan['kind'],
    spanContext: () => context,
    parentSpanContext: parent ? readableContext(parent) : undefined,
    startTime: timeOf(unlessThrown(() => span.startTime)),
    endTime: timeOf(unlessThrown(() => span.endTime)),
    status: {
      code: unlessThrown(() => span.status.code) as number,
      message: textOf(unlessThrown(() => span.status.message)),
    },
    attributes: mapOf(unlessThrown(() => span.attributes)),
    links: links.items.map(readableLink),
    events: events.items.map(readableEvent),
    droppedAttributesCount: unlessThrown(() => span.droppedAttributesCount) ?? 0,
    droppedEventsCount: countOf(unlessThrown(() => span.droppedEventsCount)) + events.leftOut,
    droppedLinksCount: countOf(unlessThrown(() => span.droppedLinksCount)) + links.leftOut,
  } as Partial<ReadableSpan> as ReadableSpan;
}

function readableContext(context: SpanContext | undefined): SpanContext {
  return {
    traceId: idOf(unlessThrown(() => context?.traceId)),
    spanId: idOf(unlessThrown(() => context?.spanId)),
    traceFlags: unlessThrown(() => context?.traceFlags) as number,
    isRemote: unlessThrown(() => context?.isRemote),
    traceState: unlessThrown(() => context?.traceState),
  };
}

function readableEvent(event: TimedEvent): TimedEvent {
  return {
    time: timeOf(unlessThrown(() => event.time)),
    name: textOf(unlessThrown(() => event.name)),
    attributes: mapOf(unlessThrown(() => event.attributes)),
    droppedAttributesCount: unlessThrown(() => event.droppedAttributesCount),
  };
}

function readableLink(link: Link): Link {
  return {
    context: readableContext(unlessThrown(() => link.context)),
    attributes: mapOf(unlessThrown(() => link.attributes)),
    droppedAttributesCount: unlessThrown(() => link.droppedAttributesCount),
  };
}

/** A name or a message: what is no string, but has an obvious one, is that; anything else is empty. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : '';
}

/** Of a context that has none, an id which nobody takes for one. */
const idOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function timeOf(value: unknown): HrTime {
  const [seconds, nanos] = listOf(value as readonly unknown[]).items;
  return typeof seconds === 'number' && typeof nanos === 'number' ? [seconds, nanos] : [0, 0];
}

/** A list may say that it is as long as it likes. The SDK keeps 128 events and links unless it is told otherwise. */
const MAX_ITEMS = 10_000;

function listOf<T>(value: readonly T[] | undefined): { readonly items: readonly T[]; readonly leftOut: number } {
  const length = unlessThrown(() => (Array.isArray(value) ? value.length : 0)) ?? 0;
  const items = Array.from({ length: Math.min(length, MAX_ITEMS) }, (_, i) => unlessThrown(() => value![i]) as T);
  return { items, leftOut: length - items.length };
}

const countOf = (value: unknown): number => (typeof value === 'number' && value >= 1 ? value : 0);

const mapOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
