import {
  ConfigurationError,
  list,
  number,
  type OptionReader,
  optional,
  readOptions,
  type SpanBatch,
  type SpanHead,
  text,
} from '@otel-resilience/core';
import type { ArchiveIndex } from './archive-index.js';

/** Which spans are wanted. What is left out does not matter. */
export interface ArchiveSelection {
  /** Spans that had not ended by then, in milliseconds since the epoch. */
  readonly fromMillis?: number;
  /** Spans that had begun by then. */
  readonly toMillis?: number;
  /** By `service.name`; '' for spans without one. */
  readonly services?: readonly string[];
  /** 32 hexadecimal digits each. */
  readonly traceIds?: readonly string[];
}

export interface ReadSelection {
  readonly fromMillis: number;
  readonly toMillis: number;
  readonly services: ReadonlySet<string> | undefined;
  readonly traceIds: ReadonlySet<string> | undefined;
}

const anyText: OptionReader<string> = (value, path) => {
  if (typeof value === 'string') return value;
  throw new ConfigurationError(path, 'a string', value);
};

const aTraceId: OptionReader<string> = (value, path) => {
  const id = text()(value, path).toLowerCase();
  if (/^[0-9a-f]{32}$/.test(id)) return id;
  throw new ConfigurationError(path, '32 hexadecimal digits', value);
};

const SCHEMA = {
  fromMillis: optional(number({ default: 0 })),
  toMillis: optional(number({ default: 0 })),
  services: optional(list(anyText, { min: 1 })),
  traceIds: optional(list(aTraceId, { min: 1 })),
};

/** @throws ConfigurationError naming what is wrong. */
export function readSelection(selection: ArchiveSelection): ReadSelection {
  const { services, traceIds, ...read } = readOptions('ArchiveSelection', selection, SCHEMA);
  const { fromMillis = Number.NEGATIVE_INFINITY, toMillis = Number.POSITIVE_INFINITY } = read;
  if (toMillis < fromMillis) {
    throw new ConfigurationError('ArchiveSelection.toMillis', `at least fromMillis (${fromMillis})`, toMillis);
  }
  return {
    fromMillis,
    toMillis,
    services: services && new Set(services),
    traceIds: traceIds && new Set(traceIds),
  };
}

/** Whether the object may hold such a span: `false` is certain. */
export function mayHold(index: ArchiveIndex, { fromMillis, toMillis, services, traceIds }: ReadSelection): boolean {
  if (index.endMillis < fromMillis || index.startMillis > toMillis) return false;
  if (services && ![...services].some((service) => index.services.has(service))) return false;
  return !traceIds || [...traceIds].some((id) => index.traceIds.mayContain(id));
}

/** The spans of the batch that are wanted, if there are any. */
export function selectSpans(batch: SpanBatch, selection: ReadSelection): SpanBatch | undefined {
  return batch.partition((head) => isWanted(head, selection)).get(true);
}

export const isWanted = (head: SpanHead, { fromMillis, toMillis, services, traceIds }: ReadSelection): boolean =>
  head.endMillis >= fromMillis &&
  head.startMillis <= toMillis &&
  (!services || services.has(head.service)) &&
  (!traceIds || traceIds.has(head.traceId));
