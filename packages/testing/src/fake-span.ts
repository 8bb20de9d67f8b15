import { type HrTime, type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { Attributes, ReadableSpan, Resource } from '@otel-resilience/core';

/** What a fake span can be told; any member of `ReadableSpan` may be replaced too. */
export interface FakeSpanOverrides extends Partial<Omit<ReadableSpan, 'spanContext'>> {
  /** Numbers the ids: the same index gives the same ids. Default: random ids. */
  readonly index?: number;
  /** 32 hex digits. */
  readonly traceId?: string;
  /** 16 hex digits. */
  readonly spanId?: string;
  /** Its parent in the same trace and process. Default: none, a root. */
  readonly parentSpanId?: string;
  /** Sampled by default. */
  readonly traceFlags?: number;
  readonly traceState?: SpanContext['traceState'];
  /** Short for a status of ERROR. Default false. */
  readonly isError?: boolean;
  /** `service.name` of the resource. Default `fake-service`. */
  readonly serviceName?: string;
  /** Milliseconds since the Unix epoch. Default 2026-01-01. */
  readonly startMillis?: number;
  /** Default 12.5. */
  readonly durationMillis?: number;
}

/**
 * A span as the SDK would hand it to a processor or exporter, with ten attributes and one event, about 600 bytes on
 * the wire. Made without any SDK; the stock exporters of both majors take it.
 */
export function fakeSpan(overrides: FakeSpanOverrides = {}): ReadableSpan {
  const {
    index,
    traceId = hexId(16, index),
    spanId = hexId(8, index),
    parentSpanId,
    traceFlags = TraceFlags.SAMPLED,
    traceState,
    isError = false,
    serviceName = 'fake-service',
    startMillis = Date.UTC(2026, 0, 1),
    durationMillis = 12.5,
    ...members
  } = overrides;
  const context: SpanContext = { traceId, spanId, traceFlags, ...(traceState && { traceState }) };
  const attributes = members.attributes ?? requestAttributes(isError ? 500 : 200);
  return {
    name: 'GET /orders/:id',
    kind: SpanKind.SERVER,
    spanContext: () => context,
    ...(parentSpanId !== undefined && { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags } }),
    startTime: toHrTime(startMillis),
    endTime: toHrTime(startMillis + durationMillis),
    duration: toHrTime(durationMillis),
    status: isError ? { code: SpanStatusCode.ERROR, message: 'order store is down' } : { code: SpanStatusCode.UNSET },
    links: [],
    events: [
      { time: toHrTime(startMillis + durationMillis / 2), name: 'cache.miss', attributes: { 'cache.key': 'order' } },
    ],
    ended: true,
    resource: resourceOf(serviceName),
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    ...members,
    attributes,
  };
}

/** `count` spans, numbered from 0 unless the overrides say otherwise; each its own trace. */
export function fakeSpans(
  count: number,
  overrides: FakeSpanOverrides | ((index: number) => FakeSpanOverrides) = {},
): ReadableSpan[] {
  return Array.from({ length: count }, (_, index) =>
    fakeSpan({ index, ...(typeof overrides === 'function' ? overrides(index) : overrides) }),
  );
}

const SCOPE = { name: '@otel-resilience/testing', version: '0.1.0' };

// One object per service: exporters group by it, and an application has one.
const resources = new Map<string, Resource>();

function resourceOf(serviceName: string): Resource {
  let resource = resources.get(serviceName);
  if (!resource) {
    resource = {
      attributes: {
        'service.name': serviceName,
        'telemetry.sdk.language': 'nodejs',
        'telemetry.sdk.name': 'opentelemetry',
        'telemetry.sdk.version': '2.12.1',
      },
    };
    resources.set(serviceName, resource);
  }
  return resource;
}

const requestAttributes = (statusCode: number): Attributes => ({
  'http.request.method': 'GET',
  'http.response.status_code': statusCode,
  'http.route': '/orders/:id',
  'url.path': '/orders/4711',
  'url.scheme': 'https',
  'server.address': 'orders.example.com',
  'server.port': 443,
  'client.address': '192.0.2.17',
  'network.protocol.version': '1.1',
  'user_agent.original': 'Mozilla/5.0 (X11; Linux x86_64)',
});

function hexId(bytes: number, index: number | undefined): string {
  // An id of zeros is invalid, so numbers start at 1.
  if (index !== undefined) return (index + 1).toString(16).padStart(bytes * 2, '0');
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex');
}

function toHrTime(millis: number): HrTime {
  const seconds = Math.floor(millis / 1000);
  return [seconds, Math.round((millis - seconds * 1000) * 1e6)];
}
