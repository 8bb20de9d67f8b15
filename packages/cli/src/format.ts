const GROUPED = new Intl.NumberFormat('en-US');
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export const count = (value: number): string => GROUPED.format(value);

/** `1 span`, `2,000 spans`. */
export const counted = (value: number, noun: string, plural = `${noun}s`): string =>
  `${count(value)} ${value === 1 ? noun : plural}`;

export function byteSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1_024 && unit < UNITS.length - 1; unit++) value /= 1_024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `0.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(millis: number): string {
  if (millis < 9_950) return `${(Math.max(0, millis) / 1_000).toFixed(1)} s`;
  const seconds = Math.round(millis / 1_000);
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3_600), Math.floor(seconds / 86_400)];
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** A time as `2026-11-21 08:15:03Z`. */
export function timestamp(millis: number): string {
  const date = new Date(millis);
  return Number.isNaN(date.getTime())
    ? '?'
    : date
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, 'Z');
}

/** The same for programs; `null` for what is no time. */
export const isoTime = (millis: number): string | null => {
  const date = new Date(millis);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
};

/** Without what a terminal would obey: names of files and answers of servers may hold anything. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it is about.
  text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });

const MAX_LISTED = 5;

/** So many of them as a person reads. */
export function listed(names: readonly string[], total: number = names.length): string {
  const shown = names.slice(0, MAX_LISTED).map(printable);
  const others = total - shown.length;
  return others > 0 ? `${shown.join(', ')} and ${counted(others, 'other')}` : shown.join(', ');
}
