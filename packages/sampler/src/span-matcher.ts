import { SpanKind } from '@opentelemetry/api';
import {
  ConfigurationError,
  type OptionReader,
  optional,
  patternTest,
  readOptions,
  type TextPattern,
  textPattern,
} from '@otel-resilience/core';

/** One or several; in strings `*` stands for any characters, none included. */
export type Pattern = TextPattern;
export type AttributePattern = string | number | boolean | readonly (string | number | boolean)[];
export type SpanKindName = keyof typeof KINDS;

/**
 * Which spans are meant: those that fit everything given here. Without anything, all.
 *
 *     { service: 'shop-*', kind: 'server', route: ['/health', '/metrics*'], attributes: { 'tenant.tier': 'gold' } }
 */
export interface SpanMatcher {
  /** Of the resource's `service.name`. */
  readonly service?: Pattern;
  /** Of `http.route`; of `url.path` or the path of `http.target` where there is none, as mostly at the start. */
  readonly route?: Pattern;
  /** Of the span's name. */
  readonly name?: Pattern;
  readonly kind?: SpanKindName | readonly SpanKindName[];
  /** Each of these attributes must be there and fit. Numbers and booleans are compared as such. */
  readonly attributes?: Readonly<Record<string, AttributePattern>>;
}

/** What a matcher looks at: what is known at a span's start, or at its end. */
export interface MatchedSpan {
  readonly name: string;
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

type Test<T> = (value: T) => boolean;

/** A matcher made ready: one closure per criterion, and none for what was not given. Never throws. */
export interface CompiledMatcher {
  /** Asked once per service, not per span. */
  fitsService(service: string | undefined): boolean;
  /** Everything but the service. */
  fits(span: MatchedSpan): boolean;
  /** The same, from the arguments of `shouldSample`, without an object for them. */
  fitsStart(name: string, kind: number, attributes: Readonly<Record<string, unknown>>): boolean;
}

export function compileMatcher({ service, route, name, kind, attributes }: SpanMatcher): CompiledMatcher {
  const ofService = service === undefined ? undefined : patternTest(service);
  const ofRoute = route === undefined ? undefined : patternTest(route);
  const ofName = name === undefined ? undefined : patternTest(name);
  const kinds = kind === undefined ? undefined : [kind].flat().map((each) => KINDS[each] as number);
  const ofAttributes = Object.entries(attributes ?? {}).map(([key, wanted]) => [key, attributeTest(wanted)] as const);
  const fitsStart: CompiledMatcher['fitsStart'] = (spanName, spanKind, given) =>
    (kinds === undefined || kinds.includes(spanKind)) &&
    (ofName === undefined || ofName(spanName)) &&
    (ofRoute === undefined || fitsRoute(ofRoute, given)) &&
    ofAttributes.every(([key, test]) => test(given?.[key]));
  return {
    fitsService: (of) => ofService === undefined || (of !== undefined && ofService(of)),
    fits: (span) => fitsStart(span.name, span.kind, span.attributes),
    fitsStart,
  };
}

function fitsRoute(test: Test<unknown>, attributes: Readonly<Record<string, unknown>> | undefined): boolean {
  const route = attributes?.['http.route'] ?? attributes?.['url.path'];
  if (route !== undefined) return test(route);
  const target = attributes?.['http.target'];
  return typeof target === 'string' && test(target.split('?', 1)[0]);
}

function attributeTest(wanted: AttributePattern): Test<unknown> {
  const all = [wanted].flat();
  const exact = all.filter((each) => typeof each !== 'string');
  const patterns = all.filter((each) => typeof each === 'string');
  const ofText = patterns.length > 0 ? patternTest(patterns) : () => false;
  return (value) => exact.includes(value as never) || ofText(value);
}

const kindNames: OptionReader<SpanKindName | readonly SpanKindName[]> = (value, path) => {
  const all = Array.isArray(value) ? value : [value];
  if (all.length > 0 && all.every((each) => typeof each === 'string' && Object.hasOwn(KINDS, each))) {
    return copy(value as SpanKindName);
  }
  throw new ConfigurationError(path, `one or several of ${Object.keys(KINDS).join(', ')}`, value);
};

const attributePatterns: OptionReader<Readonly<Record<string, AttributePattern>>> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigurationError(path, 'an object of attributes', value);
  }
  const read = Object.entries(value).map(([key, wanted]) => {
    const all = Array.isArray(wanted) ? wanted : [wanted];
    if (all.length > 0 && all.every(isPrimitive)) return [key, copy(wanted as AttributePattern)];
    throw new ConfigurationError(`${path}.${key}`, 'a string, number or boolean, or a list of them', wanted);
  });
  return Object.freeze(Object.fromEntries(read)) as Record<string, AttributePattern>;
};

const isPrimitive = (value: unknown) =>
  typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value as number);

const copy = <T>(value: T): T => (Array.isArray(value) ? (Object.freeze([...value]) as T) : value);

/** The options of a matcher, to be spread into those of a rule. */
export const SPAN_MATCHER_SCHEMA = {
  service: optional(textPattern),
  route: optional(textPattern),
  name: optional(textPattern),
  kind: optional(kindNames),
  attributes: optional(attributePatterns),
};

/** Reads a {@link SpanMatcher} that stands alone. */
export const spanMatcher: OptionReader<SpanMatcher> = (value, path) => readOptions(path, value, SPAN_MATCHER_SCHEMA);
