import { ConfigurationError, type OptionReader, text } from '@otel-resilience/core';
import { REQUIRED_ATTRIBUTES } from './verbose-attributes.js';

/** What happens to an attribute: left alone, its value cut when it is long, or removed. */
export type AttributeRule = 'keep' | 'cut' | 'remove';

// Keys are few in any one program. Nothing enforces that: the cache is capped.
const MAX_CACHED_KEYS = 2_000;

/** Which rule an attribute is under, by its key: a required or kept one wins over a verbose one. */
export class AttributeRules {
  private readonly isKept: (key: string) => boolean;
  private readonly isVerbose: (key: string) => boolean;
  private readonly rules = new Map<string, AttributeRule>();

  constructor(verboseAttributes: readonly string[], keepAttributes: readonly string[]) {
    this.isKept = matcher([...REQUIRED_ATTRIBUTES, ...keepAttributes]);
    this.isVerbose = matcher(verboseAttributes);
  }

  ruleOf(key: string): AttributeRule {
    const known = this.rules.get(key);
    if (known) return known;
    const rule = this.isKept(key) ? 'keep' : this.isVerbose(key) ? 'remove' : 'cut';
    if (this.rules.size < MAX_CACHED_KEYS) this.rules.set(key, rule);
    return rule;
  }
}

/** A key, or the beginning of keys with a `*` after it. */
export const keyPattern: OptionReader<string> = (value, path) => {
  const pattern = text()(value, path);
  if (pattern.indexOf('*') < 0 || pattern.indexOf('*') === pattern.length - 1) return pattern;
  throw new ConfigurationError(path, 'an attribute key, or the beginning of keys and a * at the end', value);
};

function matcher(patterns: readonly string[]): (key: string) => boolean {
  const keys = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
  const prefixes = patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
  return (key) => keys.has(key) || prefixes.some((prefix) => key.startsWith(prefix));
}
