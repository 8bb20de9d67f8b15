import type { Lane } from '../lane.js';
import type { InstrumentationScope, ReadableSpan, Resource } from '../sdk-types.js';
import { type EncodedGroup, EncodedSpans } from './encoded-spans.js';
import { type Envelope, isPending, resourceEnvelope, scopeEnvelope } from './envelope.js';
import { writeRequest } from './request-writer.js';
import { SpanWriter } from './span-writer.js';

/**
 * A batch in the making: spans are encoded as they come, into one working buffer for each resource and scope. The
 * buffers are reused from batch to batch; what `seal` returns is a copy of exactly the size.
 */
export class SpanBatchBuilder {
  /** Resources and scopes in one batch, in pairs, at most: each costs an envelope, and a comparison for every span. */
  static readonly MAX_GROUPS: number = 256;
  /** Bytes of the spans so far, each with tag and length; resources and scopes come on top. */
  byteLength = 0;
  /** What resources and scopes take at most, as far as that is known: see {@link PENDING_RESOURCE_BYTES}. */
  envelopeBytes = 0;
  private groups: Group[] = [];
  private readonly order = new GrowingArray(Uint16Array);
  private last: Group | undefined;
  private lanes: Record<Lane, number> = { errors: 0, localRoots: 0, rest: 0 };
  private startMillis = Number.POSITIVE_INFINITY;
  private endMillis = Number.NEGATIVE_INFINITY;
  // Before the last span was added.
  private priorStartMillis = 0;
  private priorEndMillis = 0;

  get spanCount(): number {
    return this.order.length;
  }

  get groupCount(): number {
    return this.groups.length;
  }

  /** Whether `add` would take this span: not when it would be the first of one group too many. */
  hasRoomFor(span: ReadableSpan): boolean {
    if (this.groups.length < SpanBatchBuilder.MAX_GROUPS) return true;
    return this.find(span.resource, span.instrumentationScope) >= 0 || this.groups.some(isEmpty);
  }

  /**
   * Encodes a span at the end; returns the bytes that it adds. Throws, and adds nothing, when it cannot be read, and
   * a RangeError when there is no room for its group.
   */
  add(span: ReadableSpan): number {
    const { resource, instrumentationScope: scope } = span;
    const { last } = this;
    const group = last?.resource === resource && last.scope === scope ? last : this.groupOf(resource, scope);
    const { writer } = group;
    const start = writer.position;
    writer.span(span);
    if (isEmpty(group)) this.envelopeBytes += group.envelopeBytes;
    group.ends.push(writer.position);
    this.order.push(group.index);
    this.last = group;
    this.observe(writer);
    const bytes = writer.position - start;
    this.byteLength += bytes;
    return bytes;
  }

  /** Takes back the span that was added last. Once, and only before anything else. */
  undo(): void {
    const group = this.groups[this.order.pop()]!;
    const { writer, ends } = group;
    ends.pop();
    const end = ends.length > 0 ? ends.last : 0;
    this.byteLength -= writer.position - end;
    writer.position = end;
    if (isEmpty(group)) this.envelopeBytes -= group.envelopeBytes;
    this.lanes[writer.lane]--;
    this.startMillis = this.priorStartMillis;
    this.endMillis = this.priorEndMillis;
  }

  /** What has been added, as bytes that nobody writes to any more; the builder is empty again. */
  seal(): EncodedSpans {
    const filled = this.groups.filter(({ ends }) => ends.length > 0);
    const sealed = new EncodedSpans({
      ...sealGroups(filled),
      order: this.sealOrder(filled),
      byteLength: this.byteLength,
      summary: {
        lanes: this.lanes,
        startMillis: this.spanCount > 0 ? this.startMillis : 0,
        endMillis: this.spanCount > 0 ? this.endMillis : 0,
      },
    });
    this.clear(filled);
    return sealed;
  }

  private groupOf(resource: Resource, scope: InstrumentationScope): Group {
    const at = this.find(resource, scope);
    const known = this.groups[at];
    if (known) {
      if (isEmpty(known)) known.envelopeBytes = envelopeBytesOf(known);
      return known;
    }
    const index = this.freePlace();
    const ends = new GrowingArray(Uint32Array);
    const envelopeBytes = envelopeBytesOf({ resource, scope });
    const group: Group = { resource, scope, index, writer: new SpanWriter(), ends, envelopeBytes };
    this.groups[index] = group;
    return group;
  }

  /** At the end, or else that of a group which only the last batch had spans of. */
  private freePlace(): number {
    const { length } = this.groups;
    const place = length < SpanBatchBuilder.MAX_GROUPS ? length : this.groups.findIndex(isEmpty);
    if (place < 0) throw new RangeError(`more than ${length} resources and scopes`);
    return place;
  }

  private find(resource: Resource, scope: InstrumentationScope): number {
    const { groups } = this;
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i]!;
      if (group.scope === scope && group.resource === resource) return i;
    }
    return -1;
  }

  private observe({ lane, startMillis, endMillis }: SpanWriter): void {
    this.lanes[lane]++;
    this.priorStartMillis = this.startMillis;
    this.priorEndMillis = this.endMillis;
    if (startMillis < this.startMillis) this.startMillis = startMillis;
    if (endMillis > this.endMillis) this.endMillis = endMillis;
  }

  private sealOrder(filled: readonly Group[]): Uint16Array {
    const order = this.order.take() as Uint16Array;
    if (filled.length === this.groups.length) return order;
    const places = new Map(filled.map(({ index }, place) => [index, place]));
    return order.map((index) => places.get(index)!);
  }

  /** Groups that the last batch had no span of are forgotten, and their resources with them. */
  private clear(filled: Group[]): void {
    this.groups = filled;
    for (const [index, group] of filled.entries()) {
      group.index = index;
      group.writer.reset();
    }
    this.last = undefined;
    this.byteLength = 0;
    this.envelopeBytes = 0;
    this.lanes = { errors: 0, localRoots: 0, rest: 0 };
    this.startMillis = Number.POSITIVE_INFINITY;
    this.endMillis = Number.NEGATIVE_INFINITY;
  }
}

interface Group {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
  /** Its place among the groups. */
  index: number;
  readonly writer: SpanWriter;
  /** Where each span ends in the writer's bytes. */
  readonly ends: GrowingArray;
  /** What resource and scope add to the present batch. */
  envelopeBytes: number;
}

const isEmpty = ({ ends }: Group): boolean => ends.length === 0;

/** The tags and the lengths of a ResourceSpans and of a ScopeSpans. */
const GROUP_FRAME_BYTES = 12;
/** What is kept free for a resource whose attributes are still being detected, and cannot be read yet. */
const PENDING_RESOURCE_BYTES = 16_384;

function envelopeBytesOf({ resource, scope }: Pick<Group, 'resource' | 'scope'>): number {
  const resourceBytes = isPending(resource) ? PENDING_RESOURCE_BYTES : lengthOf(resourceEnvelope(resource));
  return GROUP_FRAME_BYTES + resourceBytes + lengthOf(scopeEnvelope(scope));
}

const lengthOf = ({ head, tail }: Envelope): number => head.length + tail.length;

/** Copies the spans to memory of their own: in a request that can be sent as it is, unless a resource is pending. */
function sealGroups(groups: readonly Group[]): { groups: EncodedGroup[]; request: Uint8Array | undefined } {
  if (groups.some(({ resource }) => isPending(resource))) {
    return { groups: groups.map((group) => sealGroup(group, group.writer.copy(), 0)), request: undefined };
  }
  const { bytes, starts } = writeRequest(
    groups.map(({ resource, scope, writer }) => ({
      resource,
      scope,
      bytes: writer.bytes,
      start: 0,
      end: writer.position,
    })),
  );
  return { groups: groups.map((group, index) => sealGroup(group, bytes, starts[index]!)), request: bytes };
}

function sealGroup({ resource, scope, ends }: Group, bytes: Uint8Array, start: number): EncodedGroup {
  const sealedEnds = ends.take() as Uint32Array;
  return { resource, scope, bytes, ends: sealedEnds, offset: start, start, from: 0, to: sealedEnds.length };
}

/** Integers, without a number object for each of them, in memory that is reused. */
class GrowingArray {
  length = 0;
  private values: Uint16Array | Uint32Array;

  constructor(type: typeof Uint16Array | typeof Uint32Array) {
    this.values = new type(256);
  }

  get last(): number {
    return this.values[this.length - 1]!;
  }

  push(value: number): void {
    if (this.length === this.values.length) this.grow();
    this.values[this.length++] = value;
  }

  pop(): number {
    return this.values[--this.length]!;
  }

  /** A copy of all of them; none is left. */
  take(): Uint16Array | Uint32Array {
    const copy = this.values.slice(0, this.length);
    this.length = 0;
    return copy;
  }

  private grow(): void {
    const { values } = this;
    this.values = new (values.constructor as typeof Uint32Array)(values.length * 2);
    this.values.set(values);
  }
}
