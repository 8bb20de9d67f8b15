import { afterEach, expect, test, vi } from 'vitest';
import { serviceNameOf } from './service-name.js';

afterEach(() => vi.unstubAllEnvs());

const resource = (name?: unknown) => ({ attributes: name === undefined ? {} : { 'service.name': name } });
const none = { serviceName: undefined, resource: undefined };
const ignored = () => {};

test('code comes first, then the resource, then OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES', () => {
  vi.stubEnv('OTEL_SERVICE_NAME', '');
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', '');
  expect(serviceNameOf(none, ignored)).toBeUndefined();
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'a=1, service.name = shop%20eu ,b');
  expect(serviceNameOf(none, ignored)).toBe('shop eu');
  vi.stubEnv('OTEL_SERVICE_NAME', 'shop');
  expect(serviceNameOf(none, ignored)).toBe('shop');
  expect(serviceNameOf({ ...none, resource: resource() }, ignored)).toBe('shop');
  expect(serviceNameOf({ ...none, resource: resource(7) }, ignored)).toBe('shop');
  expect(serviceNameOf({ ...none, resource: resource('cart') }, ignored)).toBe('cart');
  expect(serviceNameOf({ serviceName: 'checkout', resource: resource('cart') }, ignored)).toBe('checkout');
});

test('what cannot be decoded is taken as it stands', () => {
  vi.stubEnv('OTEL_SERVICE_NAME', '');
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'service.name=%zz');
  expect(serviceNameOf(none, ignored)).toBe('%zz');
});

test('a resource that is still being detected is read when it is there, and not before', async () => {
  vi.stubEnv('OTEL_SERVICE_NAME', 'meanwhile');
  let settle = () => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const pending = {
    asyncAttributesPending: true,
    get attributes() {
      if (this.asyncAttributesPending) throw new Error('read too early');
      return { 'service.name': 'detected' };
    },
    waitForAsyncAttributes: () => settled,
  };
  const changes: string[] = [];
  expect(serviceNameOf({ ...none, resource: pending }, (name) => changes.push(name))).toBe('meanwhile');
  pending.asyncAttributesPending = false;
  settle();
  await settled;
  await Promise.resolve();
  expect(changes).toEqual(['detected']);
});
