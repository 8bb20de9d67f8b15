import type { InstrumentationScope, ReadableSpan, Resource } from '../sdk-types.js';
import { type EncodedGroup, EncodedSpans } from './encoded-spans.js';
import { type Envelope, isPending, resourceEnvelope, scopeEnvelope } from './envelope.js';
import { GrowingArray } from './growing-array.js';
import { writeRequest } from './request-writer.js';
import { END, SpanWriter, START } from './span-writer.js';
import { unlessThrown } from './unless-thrown.js';
import { WorkingBuffer } from './working-buffer.js';

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
  private readonly writer = new SpanWriter();
  /** What the writer turns to when nobody's spans are being written. */
  private readonly nowhere = new WorkingBuffer(0);
  private readonly order = new GrowingArray();
  private last: Group | undefined;
  private isBusy = false;
  private errors = 0;
  private localRoots = 0;
  /** The earliest start and the latest end. */
  private readonly millis = Float64Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
  /** The same before the last span was added. */
  private readonly priorMillis = new Float64Array(2);

  get spanCount(): number {
    return this.order.length;
  }

  get groupCount(): number {
    return this.groups.length;
  }

  /** Whether `add` would take this span: not when it would be the first of one group too many. */
  hasRoomFor(span: ReadableSpan): boolean {
    if (this.groups.length < SpanBatchBuilder.MAX_GROUPS) return true;
    return this.find(resourceOf(span), scopeOf(span)) >= 0 || this.groups.some(isEmpty);
  }

  /**
   * Encodes a span at the end; returns the bytes that it adds. Throws, and adds nothing, when it cannot be read, a
   * RangeError when there is no room for its group, and when a getter of another span that is being added calls it.
   */
  add(span: ReadableSpan): number {
    if (this.isBusy) throw new Error('another span is being added');
    this.isBusy = true;
    try {
      return this.encode(span);
    } finally {
      this.isBusy = false;
    }
  }

  /** Takes back the span that was added last. Once, and only before anything else. */
  undo(): void {
    const group = this.groups[this.order.pop()]!;
    const { writer } = this;
    const { ends } = group;
    ends.pop();
    const end = ends.length > 0 ? ends.last : 0;
    this.byteLength -= writer.position - end;
    writer.position = end;
    if (isEmpty(group)) {
      this.envelopeBytes -= group.envelopeBytes;
      this.letGo(group);
    }
    if (writer.lane === 'errors') this.errors--;
    else if (writer.lane === 'localRoots') this.localRoots--;
    this.millis.set(this.priorMillis);
  }

  /**
   * What has been added, as bytes that nobody writes to any more; the builder is empty again. Throws, and changes
   * nothing, when a getter of a span that is being added calls it, or of a resource that is being written.
   */
  seal(): EncodedSpans {
    if (this.isBusy) throw new Error('a span is being added');
    this.isBusy = true;
    try {
      return this.sealFilled();
    } finally {
      this.isBusy = false;
    }
  }

  private sealFilled(): EncodedSpans {
    this.writer.turnTo(this.nowhere);
    this.last = undefined;
    const order = this.order.copy();
    const filled = filledGroups(this.groups);
    const { errors, localRoots, byteLength } = this;
    const summary = {
      lanes: { errors, localRoots, rest: order.length - errors - localRoots },
      startMillis: order.length > 0 ? this.millis[START]! : 0,
      endMillis: order.length > 0 ? this.millis[END]! : 0,
    };
    renumber(order, filled);
    const sealed = new EncodedSpans({ ...sealGroups(filled), order, byteLength, summary });
    this.clear(filled);
    return sealed;
  }

  private encode(span: ReadableSpan): number {
    const group = this.groupOf(span);
    const { writer } = this;
    if (group !== this.last) writer.turnTo(group.buffer);
    this.last = group;
    const start = writer.position;
    const { ends } = group;
    const { order } = this;
    ends.reserve();
    order.reserve();
    try {
      writer.span(span);
    } catch (error) {
      if (ends.length === 0) this.letGo(group);
      throw error;
    }
    // From here on nothing is called, since there may be no stack left for that: all of it happens, or nothing.
    if (ends.length === 0) {
      this.envelopeBytes += group.envelopeBytes;
      group.first = order.length;
    }
    ends.values[ends.length++] = writer.position;
    order.values[order.length++] = group.index;
    if (writer.lane === 'errors') this.errors++;
    else if (writer.lane === 'localRoots') this.localRoots++;
    const { millis, priorMillis } = this;
    const startMillis = writer.millis[START]!;
    const endMillis = writer.millis[END]!;
    priorMillis[START] = millis[START]!;
    priorMillis[END] = millis[END]!;
    if (startMillis < millis[START]!) millis[START] = startMillis;
    if (endMillis > millis[END]!) millis[END] = endMillis;
    const bytes = writer.position - start;
    this.byteLength += bytes;
    return bytes;
  }

  /** Nothing is in there, and perhaps never will be: what one large span has made large is not kept. */
  private letGo(group: Group): void {
    if (group.buffer.bytes.length <= LARGE_BUFFER) return;
    this.writer.turnTo(this.nowhere);
    this.last = undefined;
    group.buffer = new WorkingBuffer();
  }

  private groupOf(span: ReadableSpan): Group {
    const { last } = this;
    let resource: Resource;
    let scope: InstrumentationScope;
    try {
      resource = span.resource;
      scope = span.instrumentationScope;
    } catch {
      resource = resourceOf(span);
      scope = scopeOf(span);
    }
    if (last !== undefined && last.resource === resource && last.scope === scope) return last;
    return this.knownOrNew(resource, scope);
  }

  private knownOrNew(resource: Resource, scope: InstrumentationScope): Group {
    const at = this.find(resource, scope);
    const known = this.groups[at];
    if (known) {
      if (isEmpty(known)) known.envelopeBytes = envelopeBytesOf(known);
      return known;
    }
    const index = this.freePlace();
    const ends = new GrowingArray();
    const envelopeBytes = envelopeBytesOf({ resource, scope });
    const group: Group = { resource, scope, index, buffer: new WorkingBuffer(), ends, envelopeBytes, first: 0 };
    this.groups[index] = group;
    this.last = undefined; // it may be the one whose place that was
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

  /** Groups that the last batch had no span of are forgotten, and their resources with them; so are all its traces. */
  private clear(filled: Group[]): void {
    this.writer.forgetTraces();
    this.groups = filled;
    for (const [index, group] of filled.entries()) {
      group.index = index;
      group.ends.length = 0;
      group.buffer.reset();
    }
    this.order.length = 0;
    this.byteLength = 0;
    this.envelopeBytes = 0;
    this.errors = 0;
    this.localRoots = 0;
    this.millis[START] = Number.POSITIVE_INFINITY;
    this.millis[END] = Number.NEGATIVE_INFINITY;
  }
}

interface Group {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
  /** Its place among the groups. */
  index: number;
  buffer: WorkingBuffer;
  /** Where each span ends in it. */
  readonly ends: GrowingArray;
  /** What resource and scope add to the present batch. */
  envelopeBytes: number;
  /** The place of its first span in the present batch. */
  first: number;
}

const LARGE_BUFFER = 65_536;

const isEmpty = ({ ends }: Group): boolean => ends.length === 0;

// A span of a user's own making may throw, or have nothing at all; it has an empty resource or scope then.
const resourceOf = (span: ReadableSpan) => unlessThrown(() => span.resource) as Resource;
const scopeOf = (span: ReadableSpan) => unlessThrown(() => span.instrumentationScope) as InstrumentationScope;

/** Those that have spans, in the order of their first ones: the same spans give the same bytes, whatever came before. */
function filledGroups(groups: readonly Group[]): Group[] {
  return groups.filter((group) => !isEmpty(group)).sort((a, b) => a.first - b.first);
}

/** Turns the groups' present places into those that they have among `groups`. */
function renumber(order: Uint32Array, groups: readonly Group[]): void {
  const places = new Uint32Array(SpanBatchBuilder.MAX_GROUPS);
  for (const [place, { index }] of groups.entries()) places[index] = place;
  for (let i = 0; i < order.length; i++) order[i] = places[order[i]!]!;
}

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
    return { groups: groups.map((group) => sealGroup(group, group.buffer.copy(), 0)), request: undefined };
  }
  const { bytes, starts } = writeRequest(
    groups.map(({ resource, scope, buffer }) => ({
      resource,
      scope,
      bytes: buffer.bytes,
      start: 0,
      end: buffer.position,
    })),
  );
  return { groups: groups.map((group, index) => sealGroup(group, bytes, starts[index]!)), request: bytes };
}

function sealGroup(group: Group, bytes: Uint8Array, start: number): EncodedGroup {
  const { resource, scope, envelopeBytes } = group;
  const ends = group.ends.copy();
  return { resource, scope, bytes, ends, offset: start, envelopeBytes, start, from: 0, to: ends.length };
}
