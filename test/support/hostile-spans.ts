import type { ReadableSpan } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';

/** Cannot even be turned into a string, as `${error}` would. */
export const UNPRINTABLE: unknown = Object.create(null);

const thrower = (thrown: unknown) => () => {
  throw thrown;
};

function withGetter(member: string, get: () => unknown): ReadableSpan {
  return Object.defineProperty(fakeSpan(), member, { get });
}

const everythingThrows = new Proxy({}, { get: thrower(new Error('proxy')), has: thrower(new Error('proxy')) });
const pending = (waitForAsyncAttributes: () => unknown) =>
  fakeSpan({ resource: { attributes: {}, asyncAttributesPending: true, waitForAsyncAttributes } as never });

/** What no SDK should hand to a processor, and what must not hurt the application when one does. */
export const HOSTILE_SPANS: Readonly<Record<string, () => ReadableSpan>> = {
  'is undefined': () => undefined as never,
  'is a number': () => 5 as never,
  'has nothing': () => ({}) as never,
  'throws on every access': () => everythingThrows as never,
  'has a spanContext that throws': () => fakeSpan({ spanContext: thrower(new Error('no context')) } as never),
  'has a spanContext that throws what cannot be printed': () =>
    fakeSpan({ spanContext: thrower(UNPRINTABLE) } as never),
  'has a status that throws': () => withGetter('status', thrower(new Error('no status'))),
  'has no status': () => fakeSpan({ status: undefined } as never),
  'has a resource that throws': () => withGetter('resource', thrower(UNPRINTABLE)),
  'has no resource': () => fakeSpan({ resource: undefined } as never),
  'has attributes that throw': () => withGetter('attributes', thrower(new Error('no attributes'))),
  'has no attributes, events or links': () =>
    fakeSpan({ attributes: undefined, events: undefined, links: undefined } as never),
  'has a name that is a symbol': () => fakeSpan({ name: Symbol('name') } as never),
  'has attributes in a circle': () => {
    const attributes: Record<string, unknown> = {};
    attributes.self = attributes;
    return fakeSpan({ attributes });
  },
  'has a resource that throws when waited for': () => pending(thrower(UNPRINTABLE)),
  'has a resource that rejects when waited for': () => pending(() => Promise.reject(UNPRINTABLE)),
  'has a resource that is never ready': () => pending(() => new Promise(() => {})),
  'has a resource that returns no promise when waited for': () => pending(() => undefined),
};
