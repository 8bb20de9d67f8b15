import { duration } from '../format.js';

const UNIT_MILLIS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;
const DURATION = /^(?:\d+(?:\.\d+)?[wdhms])+$/;
const PART = /(\d+(?:\.\d+)?)([wdhms])/g;
// A time without a zone is UTC, as all times that are shown.
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?$/i;

/** An age that nothing gets. */
export const NEVER: number = Number.MAX_SAFE_INTEGER;

/** `30d`, `12h`, `1h30m`, `2w` as milliseconds. */
export function parseDuration(text: string): number {
  const millis = durationOf(text);
  if (millis === undefined) throw new Error('expected a duration such as 30d, 12h or 1h30m');
  return millis;
}

/** `90 d`, `1 h 30 min`. */
export const durationText = (millis: number): string => duration(millis).replace(/ 0 (?:h|min|s)$/, '');

/** An ISO 8601 time, or how long ago it was, as milliseconds since the epoch. */
export function parseTime(text: string): number {
  const agoMillis = durationOf(text);
  if (agoMillis !== undefined) return Date.now() - agoMillis;
  const [, day, time = '00:00', zone = 'Z'] = TIME.exec(text) ?? [];
  const millis = day === undefined ? Number.NaN : Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  // No 31st of February.
  const isDay = !Number.isNaN(millis) && new Date(`${day}T00:00Z`).toISOString().startsWith(day!);
  if (!isDay) throw new Error('expected a time such as 2026-11-21T08:30Z or 2026-11-21, or how long ago: 2h, 3d');
  return millis;
}

function durationOf(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let millis = 0;
  for (const [, value, unit] of text.matchAll(PART))
    millis += Number(value) * UNIT_MILLIS[unit as keyof typeof UNIT_MILLIS];
  return millis <= Date.now() ? millis : undefined;
}
