import { ConfigurationError } from '@otel-resilience/core';
import { expect, test } from 'vitest';
import { compileMatcher, type SpanMatcher, spanMatcher } from './span-matcher.js';

const span = (fields: { name?: string; kind?: number; attributes?: Record<string, unknown> }) => ({
  name: 'GET /orders',
  kind: 1,
  attributes: {},
  ...fields,
});
const fits = (matcher: SpanMatcher, fields: Parameters<typeof span>[0]) => compileMatcher(matcher).fits(span(fields));

test('everything that is given must fit', () => {
  const matcher: SpanMatcher = { name: 'GET *', kind: ['server', 'consumer'], attributes: { tier: ['gold', 7, true] } };
  expect(fits(matcher, { attributes: { tier: 'gold' } })).toBe(true);
  expect(fits(matcher, { kind: 4, attributes: { tier: 7 } })).toBe(true);
  expect(fits(matcher, { attributes: { tier: true } })).toBe(true);
  expect(fits(matcher, { attributes: { tier: 'true' } })).toBe(false);
  expect(fits(matcher, { attributes: {} })).toBe(false);
  expect(fits(matcher, { kind: 0, attributes: { tier: 'gold' } })).toBe(false);
  expect(fits(matcher, { name: 'POST /', attributes: { tier: 'gold' } })).toBe(false);
  expect(fits({}, {})).toBe(true);
});

test('a route is http.route, else the path as it is known at the start', () => {
  const matcher = { route: '/orders/*' };
  expect(fits(matcher, { attributes: { 'http.route': '/orders/:id', 'url.path': '/x' } })).toBe(true);
  expect(fits(matcher, { attributes: { 'http.route': '/x', 'url.path': '/orders/1' } })).toBe(false);
  expect(fits(matcher, { attributes: { 'url.path': '/orders/1' } })).toBe(true);
  expect(fits({ route: '/orders' }, { attributes: { 'http.target': '/orders?id=1' } })).toBe(true);
  expect(fits(matcher, {})).toBe(false);
  expect(fits(matcher, { attributes: { 'http.route': 7 } })).toBe(false);
});

test('the service is asked apart; without one, only matchers that name none are for it', () => {
  expect(compileMatcher({ service: 'shop-*' }).fitsService('shop-eu')).toBe(true);
  expect(compileMatcher({ service: ['a', 'b'] }).fitsService('c')).toBe(false);
  expect(compileMatcher({ service: '*' }).fitsService(undefined)).toBe(false);
  expect(compileMatcher({}).fitsService(undefined)).toBe(true);
});

test.each([
  [{ service: '' }, 'm.service'],
  [{ route: [] }, 'm.route'],
  [{ route: ['/a', 7] }, 'm.route'],
  [{ name: /x/ }, 'm.name'],
  [{ kind: 'SERVER' }, 'm.kind'],
  [{ kind: 1 }, 'm.kind'],
  [{ attributes: ['x'] }, 'm.attributes'],
  [{ attributes: { x: {} } }, 'm.attributes.x'],
  [{ attributes: { x: Number.NaN } }, 'm.attributes.x'],
  [{ attributes: { x: [] } }, 'm.attributes.x'],
  [{ path: '/x' }, 'm.path'],
])('%j is refused at %s', (value, path) => {
  expect(() => spanMatcher(value, 'm')).toThrow(expect.objectContaining({ path, name: ConfigurationError.name }));
});

test('what was given is copied', () => {
  const given = { route: ['/a'], attributes: { x: ['1'] } };
  const read = spanMatcher(given, 'm');
  given.route.push('/b');
  given.attributes.x.push('2');
  expect(read.route).toEqual(['/a']);
  expect(read.attributes).toEqual({ x: ['1'] });
});
