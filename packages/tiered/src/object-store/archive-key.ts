import { escapeKeySegment } from './object-key.js';

export const DATA_SUFFIX = '.otlp.gz';
export const INDEX_SUFFIX = '.index.json';
const HOUR_MILLIS = 3_600_000;
const ROOT = 'traces';
/** Where the objects are that hold more services than there is sense in separating. No service is escaped so. */
export const MIXED = '!mixed';

// The years that four digits have, which is more than 64 bits of nanoseconds have.
const MAX_MILLIS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export interface ArchiveKey {
  /** Of the hour, UTC, in which the spans ended: milliseconds since the epoch. */
  readonly hourMillis: number;
  /** As it stands in the key: escaped, or `!mixed`. */
  readonly service: string;
  readonly id: string;
  readonly kind: 'data' | 'index';
}

export const hourOf = (millis: number): number => {
  const bounded = Math.min(Math.max(millis, 0), MAX_MILLIS) || 0;
  return bounded - (bounded % HOUR_MILLIS);
};

/** `traces/2026-11-21/08`; the keys of an hour go on with `/` and the service. */
export function hourPrefix(hourMillis: number): string {
  const [day, time] = new Date(hourMillis).toISOString().split('T') as [string, string];
  return `${ROOT}/${day}/${time.slice(0, 2)}`;
}

export const servicePath = (service: string): string => escapeKeySegment(service);

export const dataKey = (hourMillis: number, service: string, id: string): string =>
  `${hourPrefix(hourMillis)}/${service}/${id}${DATA_SUFFIX}`;

export const indexKeyOf = (dataKey: string): string => dataKey.slice(0, -DATA_SUFFIX.length) + INDEX_SUFFIX;
export const dataKeyOf = (indexKey: string): string => indexKey.slice(0, -INDEX_SUFFIX.length) + DATA_SUFFIX;

const KEY = /^traces\/(\d{4}-\d\d-\d\d)\/(\d\d)\/([^/]+)\/([0-9a-f]{32})(\.otlp\.gz|\.index\.json)$/;

/** `undefined` for what is no key of an archive. */
export function parseArchiveKey(key: string): ArchiveKey | undefined {
  const [, day, hour, service, id, suffix] = KEY.exec(key) ?? [];
  if (!service) return undefined;
  const hourMillis = Date.parse(`${day}T${hour}:00:00.000Z`);
  // No 31st of February: it would be listed among other hours than it belongs to.
  if (!(hourMillis >= 0) || hourPrefix(hourMillis) !== `${ROOT}/${day}/${hour}`) return undefined;
  return { hourMillis, service, id: id!, kind: suffix === DATA_SUFFIX ? 'data' : 'index' };
}
