import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { userAgent } from './user-agent.js';
import { VERSION } from './version.js';

it('is that of package.json', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect(VERSION).toBe(manifest.version);
});

it('stands in the user agent, behind the products of the user', () => {
  expect(userAgent(undefined)).toBe(`otel-resilience-otlp/${VERSION} (JavaScript)`);
  expect(userAgent('shop/2.3')).toBe(`shop/2.3 otel-resilience-otlp/${VERSION} (JavaScript)`);
});
