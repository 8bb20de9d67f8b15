/** The shortest wait a hint can ask for. Layers that repeat a call wait their own back-off as well. */
export const MIN_RETRY_AFTER_MILLIS = 1;
/** The longest: five minutes. A server that is wrong about time must not bar an endpoint for good. */
export const MAX_RETRY_AFTER_MILLIS = 300_000;

/**
 * The wait that an HTTP `Retry-After` asks for, in milliseconds, from 1 ms to 5 minutes; `undefined` when the value is
 * neither of the header's two forms.
 *
 * - delay-seconds: a string of digits, or a number of seconds that is not negative (`0` waits 1 ms);
 * - HTTP-date: RFC 9110's form or one of the two obsolete ones, always UTC; a date that has passed waits 1 ms.
 *
 * `wallNow` is milliseconds since the Unix epoch, for the second form.
 */
export function parseRetryAfter(value: unknown, wallNow: number): number | undefined {
  const single: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof single === 'number') return single >= 0 ? boundRetryAfter(single * 1000) : undefined;
  if (typeof single !== 'string') return undefined;
  const text = single.trim();
  if (/^\d+$/.test(text)) return boundRetryAfter(Number(text) * 1000);
  const date = parseHttpDate(text, wallNow);
  return date === undefined ? undefined : boundRetryAfter(date - wallNow);
}

/** Any number of milliseconds as a wait that is bounded and positive; `undefined` for what is not a number. */
export function boundRetryAfter(millis: unknown): number | undefined {
  if (typeof millis !== 'number' || Number.isNaN(millis)) return undefined;
  return Math.min(Math.max(millis, MIN_RETRY_AFTER_MILLIS), MAX_RETRY_AFTER_MILLIS);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = '(?<hours>\\d\\d):(?<minutes>\\d\\d):(?<seconds>\\d\\d)';

// RFC 9110, section 5.6.7. `Date.parse` will not do: it takes much else, and reads the third form as local time.
const HTTP_DATES = [
  `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT`,
  `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT`,
  `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`));

function parseHttpDate(text: string, wallNow: number): number | undefined {
  for (const form of HTTP_DATES) {
    const groups = form.exec(text)?.groups;
    if (!groups) continue;
    const [day, hours, minutes, seconds] = [groups.day, groups.hours, groups.minutes, groups.seconds].map(Number);
    if (hours! > 23 || minutes! > 59 || seconds! > 60) return undefined;
    const year = groups.year!.length === 2 ? fullYear(Number(groups.year), wallNow) : Number(groups.year);
    const midnight = new Date(Date.UTC(year, MONTHS.indexOf(groups.month!), day));
    if (midnight.getUTCDate() !== day) return undefined;
    return midnight.getTime() + ((hours! * 60 + minutes!) * 60 + seconds!) * 1000;
  }
  return undefined;
}

/** RFC 9110: two digits that would be more than 50 years ahead mean the most recent past year that ends so. */
function fullYear(lastDigits: number, wallNow: number): number {
  const current = new Date(wallNow).getUTCFullYear();
  const year = current - (current % 100) + lastDigits;
  return year > current + 50 ? year - 100 : year;
}
