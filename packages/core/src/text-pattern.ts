import { ConfigurationError, type OptionReader } from './options.js';

/** One or several; `*` stands for any characters, none included. */
export type TextPattern = string | readonly string[];

/** Whether a value is a string that fits one of the patterns. */
export function patternTest(pattern: TextPattern): (value: unknown) => boolean {
  const tests = [pattern].flat().map(onePattern);
  const [first] = tests;
  if (first && tests.length === 1) return (value) => typeof value === 'string' && first(value);
  return (value) => typeof value === 'string' && tests.some((test) => test(value));
}

/** Reads one pattern or a list of them; the list is copied. */
export const textPattern: OptionReader<TextPattern> = (value, path) => {
  const all = Array.isArray(value) ? value : [value];
  if (all.length === 0 || !all.every((each) => typeof each === 'string' && each !== '')) {
    throw new ConfigurationError(path, 'a non-empty string or a list of them', value);
  }
  return Array.isArray(value) ? Object.freeze([...value]) : (value as string);
};

function onePattern(pattern: string): (value: string) => boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return (value) => value === pattern;
  // Every part is found as early as it can be, so nothing has to be tried twice.
  return (value) => {
    if (value.length < head.length + tail.length || !value.startsWith(head) || !value.endsWith(tail)) return false;
    let from = head.length;
    const end = value.length - tail.length;
    for (const part of rest) {
      const at = value.indexOf(part, from);
      if (at === -1 || at + part.length > end) return false;
      from = at + part.length;
    }
    return true;
  };
}
