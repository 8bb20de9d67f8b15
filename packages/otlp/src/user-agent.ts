import { ConfigurationError, type OptionReader } from '@otel-resilience/core';
import { VERSION } from './version.js';

/**
 * OTLP: the header SHOULD identify the exporter, its language and its version. `prefix`, a product of the user's such
 * as `shop/2.3`, comes first.
 */
export function userAgent(prefix: string | undefined): string {
  const own = `otel-resilience-otlp/${VERSION} (JavaScript)`;
  return prefix === undefined ? own : `${prefix} ${own}`;
}

const PRODUCTS = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

export const userAgentPrefix: OptionReader<string> = (value, path) => {
  if (typeof value === 'string' && PRODUCTS.test(value)) return value;
  throw new ConfigurationError(path, 'printable ASCII, such as shop/2.3', value);
};
