import type { SpanBatch, SpanHead } from '@otel-resilience/core';
import { hourOf, MIXED, servicePath } from './archive-key.js';

/** What becomes one object. */
export interface ArchivePiece {
  readonly batch: SpanBatch;
  readonly traceIds: ReadonlySet<string>;
}

/** The spans of a batch that ended in one hour and, mostly, come from one service. */
export interface ArchivePart {
  readonly hourMillis: number;
  /** As it stands in the key. */
  readonly service: string;
  readonly batch: SpanBatch;
  /** The same spans, in objects that are not too large. */
  readonly pieces: readonly ArchivePiece[];
}

/** With more services than that in an hour, a batch becomes one object for all of them. */
const MAX_SERVICES = 16;

/** The trace ids of an hour, by service. */
type Hour = Map<string, Set<string>>;

/**
 * How a batch is cut, which follows from its spans alone: the same batch is cut so again, and so is what is left of it
 * when some of the parts are gone. Hence what the services are does not decide about single parts but about whole hours.
 *
 * Reading the heads of spans is what costs here, about as much as encoding them: once, where there is a single part.
 */
export function archivePartsOf(batch: SpanBatch, maxObjectBytes: number): ArchivePart[] {
  const hours = readHours(batch);
  for (const [hour, services] of hours) if (services.size > MAX_SERVICES) hours.set(hour, mixed(services));
  const keys = [...hours].flatMap(([hour, services]) => [...services.keys()].map((service) => keyOf(hour, service)));
  const batches = keys.length === 1 ? new Map([[keys[0]!, batch]]) : batch.partition((head) => keyIn(hours, head));
  return [...batches].map(([key, part]) => {
    const at = key.indexOf('/');
    const hourMillis = Number(key.slice(0, at));
    const service = key.slice(at + 1);
    const whole = { batch: part, traceIds: hours.get(hourMillis)!.get(service)! };
    return { hourMillis, service, batch: part, pieces: piecesOf(whole, maxObjectBytes) };
  });
}

export function traceIdsOf(batch: SpanBatch): Set<string> {
  const ids = new Set<string>();
  forEachHead(batch, ({ traceId }) => ids.add(traceId));
  return ids;
}

function readHours(batch: SpanBatch): Map<number, Hour> {
  const hours = new Map<number, Hour>();
  const paths = new Map<string, string>();
  forEachHead(batch, ({ endMillis, service, traceId }) => {
    const hour = hourOf(endMillis);
    let path = paths.get(service);
    if (path === undefined) {
      path = servicePath(service);
      paths.set(service, path);
    }
    let services = hours.get(hour);
    if (!services) {
      services = new Map();
      hours.set(hour, services);
    }
    const ids = services.get(path);
    if (ids) ids.add(traceId);
    else services.set(path, new Set([traceId]));
  });
  return hours;
}

/** One part, which costs no copy: the heads are all that is wanted. */
function forEachHead(batch: SpanBatch, look: (head: SpanHead) => void): void {
  batch.partition((head) => {
    look(head);
    return 0;
  });
}

const mixed = (services: Hour): Hour => new Map([[MIXED, new Set([...services.values()].flatMap((ids) => [...ids]))]]);

const keyOf = (hour: number, service: string): string => `${hour}/${service}`;

function keyIn(hours: ReadonlyMap<number, Hour>, { endMillis, service }: SpanHead): string {
  const hour = hourOf(endMillis);
  return keyOf(hour, hours.get(hour)!.has(MIXED) ? MIXED : servicePath(service));
}

function piecesOf(piece: ArchivePiece, maxObjectBytes: number): ArchivePiece[] {
  const { spanCount, byteLength } = piece.batch;
  if (spanCount < 2 || byteLength <= maxObjectBytes) return [piece];
  const middle = spanCount >>> 1;
  const halves = [piece.batch.slice(0, middle), piece.batch.slice(middle)];
  return halves.flatMap((batch) => piecesOf({ batch, traceIds: traceIdsOf(batch) }, maxObjectBytes));
}
