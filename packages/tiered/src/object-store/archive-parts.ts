import type { SpanBatch, SpanHead } from '@otel-resilience/core';
import { hourOf, MIXED, servicePath } from './archive-key.js';

/** The spans of a batch that ended in one hour and, mostly, come from one service. */
export interface ArchivePart {
  readonly hourMillis: number;
  /** As it stands in the key. */
  readonly service: string;
  readonly batch: SpanBatch;
  /** The same spans, cut into what becomes an object. */
  readonly pieces: readonly SpanBatch[];
}

/** With more services than that in an hour, a batch becomes one object for all of them. */
const MAX_SERVICES = 16;

/**
 * How a batch is cut, which follows from its spans alone: the same batch is cut so again, and so is what is left of it
 * when some of the parts are gone. Hence what the services are does not decide about single parts but about whole hours.
 */
export function archivePartsOf(batch: SpanBatch, maxObjectBytes: number): ArchivePart[] {
  const hours = servicesByHour(batch);
  const [[hour, services] = []] = hours;
  if (hours.size === 1 && services!.size === 1) {
    return [{ hourMillis: hour!, service: [...services!][0]!, batch, pieces: piecesOf(batch, maxObjectBytes) }];
  }
  const serviceIn = (hour: number, service: string) =>
    hours.get(hour)!.size > MAX_SERVICES ? MIXED : servicePath(service);
  const keyOf = ({ endMillis, service }: SpanHead) => {
    const hour = hourOf(endMillis);
    return `${hour}/${serviceIn(hour, service)}`;
  };
  return [...batch.partition(keyOf)].map(([key, part]) => ({
    hourMillis: Number(key.slice(0, key.indexOf('/'))),
    service: key.slice(key.indexOf('/') + 1),
    batch: part,
    pieces: piecesOf(part, maxObjectBytes),
  }));
}

function servicesByHour(batch: SpanBatch): Map<number, Set<string>> {
  const hours = new Map<number, Set<string>>();
  // One part, which costs no copy: the heads are all that is wanted.
  batch.partition(({ endMillis, service }) => {
    const hour = hourOf(endMillis);
    const services = hours.get(hour);
    if (services) services.add(servicePath(service));
    else hours.set(hour, new Set([servicePath(service)]));
    return 0;
  });
  return hours;
}

function piecesOf(batch: SpanBatch, maxObjectBytes: number): SpanBatch[] {
  const { spanCount, byteLength } = batch;
  if (spanCount < 2 || byteLength <= maxObjectBytes) return [batch];
  const middle = spanCount >>> 1;
  return [batch.slice(0, middle), batch.slice(middle)].flatMap((half) => piecesOf(half, maxObjectBytes));
}
