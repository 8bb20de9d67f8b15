import type { InstrumentationScope, Resource } from '../sdk-types.js';
import { bestLane, type SpanBatchSummary } from '../span-batch-summary.js';
import { writeRequest } from './request-writer.js';
import { unlessThrown } from './unless-thrown.js';

/** Spans of one resource and scope. The spans `from` to `to` are there, from the byte `start` on. */
export interface EncodedGroup {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
  readonly bytes: Uint8Array;
  /** Where each span ends, counted from `offset`. */
  readonly ends: Uint32Array;
  readonly offset: number;
  /** What resource and scope take at most, on top of the spans. */
  readonly envelopeBytes: number;
  from: number;
  to: number;
  start: number;
}

type KnownSummary = Omit<SpanBatchSummary, 'services' | 'lane'>;

export interface EncodedSpansParts {
  readonly groups: readonly EncodedGroup[];
  /** Of every span, in the order in which they came, the index of its group. */
  readonly order: Uint32Array;
  readonly byteLength: number;
  /** All of it as a request, if that could be written already. */
  readonly request?: Uint8Array | undefined;
  /** What is known of all the spans together, services excepted. */
  readonly summary?: KnownSummary;
}

/**
 * Encoded spans, sealed: their bytes never change. The oldest can be given up one by one, or taken, in the order in
 * which they came, whatever their resources and scopes.
 */
export class EncodedSpans {
  /** Bytes of the spans that are left, each with tag and length; resources and scopes come on top. */
  byteLength: number;
  /** What the resources and scopes of those spans take at most. */
  envelopeBytes = 0;
  private readonly groups: readonly EncodedGroup[];
  private readonly order: Uint32Array;
  private readonly known: KnownSummary | undefined;
  private readonly request: Uint8Array | undefined;
  /** How many have gone. */
  private gone = 0;

  constructor({ groups, order, byteLength, request, summary }: EncodedSpansParts) {
    this.groups = groups;
    this.order = order;
    this.byteLength = byteLength;
    this.request = request;
    this.known = summary;
    for (const group of groups) if (!isEmpty(group)) this.envelopeBytes += group.envelopeBytes;
  }

  get spanCount(): number {
    return this.order.length - this.gone;
  }

  /** Bytes of the oldest span; 0 when there is none. */
  get firstBytes(): number {
    const group = this.groups[this.order[this.gone]!];
    return group ? endOf(group, group.from) - group.start : 0;
  }

  /** Gives up the oldest span. */
  dropFirst(): void {
    const group = this.groups[this.order[this.gone]!];
    if (!group) return;
    const end = endOf(group, group.from++);
    this.byteLength -= end - group.start;
    group.start = end;
    this.gone++;
    if (isEmpty(group)) this.envelopeBytes -= group.envelopeBytes;
  }

  /**
   * The oldest spans on their own, so many and so many bytes of them at most; they are no longer here. Their bytes are
   * shared, not copied.
   */
  takeFirst(maxSpans: number, maxBytes: number = Number.POSITIVE_INFINITY): EncodedSpans {
    const taken = this.groups.map((group) => ({ ...group }));
    const { gone, byteLength } = this;
    const last = gone + Math.min(maxSpans, this.spanCount);
    while (this.gone < last && byteLength - this.byteLength + this.firstBytes <= maxBytes) this.dropFirst();
    const order = this.order.subarray(gone, this.gone);
    for (const [index, group] of taken.entries()) group.to = this.groups[index]!.from;
    return new EncodedSpans({ groups: taken, order, byteLength: byteLength - this.byteLength });
  }

  /** Those whose attributes `write` will read. */
  resources(): Set<Resource> {
    return new Set(this.filled().map(({ resource }) => resource));
  }

  /** What is known of them without reading their bytes: nothing when some have gone. */
  get summary(): SpanBatchSummary | undefined {
    const { known, gone } = this;
    if (gone > 0 || !known) return undefined;
    return { ...known, lane: bestLane(known.lanes), services: this.services() };
  }

  /** What is left, as the bytes of a request. Resources are written now, unless they had settled before. */
  write(): Uint8Array {
    if (this.gone === 0 && this.request) return this.request;
    return writeRequest(this.filled().map((group) => ({ ...group, end: endOf(group, group.to - 1) }))).bytes;
  }

  private filled(): EncodedGroup[] {
    return this.groups.filter((group) => !isEmpty(group));
  }

  private services(): Map<string, number> {
    const services = new Map<string, number>();
    for (const { resource, from, to } of this.filled()) {
      const service = serviceOf(resource);
      services.set(service, (services.get(service) ?? 0) + to - from);
    }
    return services;
  }
}

const isEmpty = ({ from, to }: EncodedGroup): boolean => from === to;

const endOf = ({ ends, offset }: EncodedGroup, index: number): number => offset + ends[index]!;

function serviceOf(resource: Resource): string {
  const service: unknown = unlessThrown(() => resource.attributes['service.name']);
  return typeof service === 'string' ? service : '';
}
