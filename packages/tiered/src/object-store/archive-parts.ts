import type { SpanBatch } from '@otel-resilience/core';
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

/** Read without a pause: 1,000 heads take 2 ms of the main thread, which others need too. */
const HEADS_PER_TURN = 1_000;

/**
 * How a batch is cut, which follows from its spans alone: the same batch is cut so again, and so is what is left of it
 * when some of the parts are gone. Hence what the services are does not decide about single parts but about whole hours.
 *
 * Reading the heads of spans is what costs here, about as much as encoding them: once, and with pauses.
 */
export async function archivePartsOf(batch: SpanBatch, maxObjectBytes: number): Promise<ArchivePart[]> {
  const { hours, traceIds } = await readHeads(batch);
  const servicesOf = new Map<number, Set<string>>();
  for (const [hour, service] of hours) servicesOf.set(hour, (servicesOf.get(hour) ?? new Set()).add(service));
  const keys = hours.map(([hour, service]) => `${hour}/${servicesOf.get(hour)!.size > MAX_SERVICES ? MIXED : service}`);
  const idsOf = new Map<string, string[]>();
  for (const [index, key] of keys.entries()) {
    const ids = idsOf.get(key);
    if (ids) ids.push(traceIds[index]!);
    else idsOf.set(key, [traceIds[index]!]);
  }
  const batches = idsOf.size === 1 ? [[keys[0]!, batch] as const] : [...batch.divide(keys)];
  return batches.map(([key, part]) => {
    const at = key.indexOf('/');
    const hourMillis = Number(key.slice(0, at));
    return {
      hourMillis,
      service: key.slice(at + 1),
      batch: part,
      pieces: piecesOf(part, idsOf.get(key)!, maxObjectBytes),
    };
  });
}

export function traceIdsOf(batch: SpanBatch): Set<string> {
  const ids = new Set<string>();
  for (const { traceId } of batch.heads()) ids.add(traceId);
  return ids;
}

/** Of each span: the hour it ended in with the service as keys have it, and its trace id. */
async function readHeads(batch: SpanBatch) {
  const hours: Array<readonly [hour: number, service: string]> = [];
  const traceIds: string[] = [];
  const paths = new Map<string, string>();
  for (const { endMillis, service, traceId } of batch.heads()) {
    let path = paths.get(service);
    if (path === undefined) {
      path = servicePath(service);
      paths.set(service, path);
    }
    hours.push([hourOf(endMillis), path]);
    traceIds.push(traceId);
    if (hours.length % HEADS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { hours, traceIds };
}

function piecesOf(batch: SpanBatch, traceIds: readonly string[], maxObjectBytes: number): ArchivePiece[] {
  const { spanCount, byteLength } = batch;
  if (spanCount < 2 || byteLength <= maxObjectBytes) return [{ batch, traceIds: new Set(traceIds) }];
  const middle = spanCount >>> 1;
  return [
    ...piecesOf(batch.slice(0, middle), traceIds.slice(0, middle), maxObjectBytes),
    ...piecesOf(batch.slice(middle), traceIds.slice(middle), maxObjectBytes),
  ];
}
