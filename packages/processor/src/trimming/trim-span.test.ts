import type { ReadableSpan, TimedEvent } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AttributeRules } from './attribute-rules.js';
import { type TrimCounts, trimSpan } from './trim-span.js';
import { REQUIRED_ATTRIBUTES, VERBOSE_ATTRIBUTES } from './verbose-attributes.js';

const LIMITS = { maxValueLength: 10, maxEvents: 2 };
const rules = new AttributeRules(VERBOSE_ATTRIBUTES, ['app.tenant', 'app.kept.*']);

function trim(span: ReadableSpan, limits = LIMITS, by = rules) {
  const counts: TrimCounts = { spans: 0, attributes: 0, values: 0, events: 0 };
  return { trimmed: trimSpan(span, limits, by, counts), counts };
}

const event = (name: string, attributes?: TimedEvent['attributes']): TimedEvent => ({
  time: [1, 0],
  name,
  ...(attributes && { attributes }),
});

describe('trimSpan', () => {
  it('removes verbose attributes, cuts long values, and counts both', () => {
    const span = fakeSpan({
      events: [],
      droppedAttributesCount: 3,
      attributes: {
        'http.request.header.accept': ['text/html'],
        'code.function.name': 'handle',
        'db.query.text': 'SELECT * FROM orders',
        'app.short': 'short',
      },
    });
    const { trimmed, counts } = trim(span);
    expect(trimmed.attributes).toEqual({ 'db.query.text': 'SELECT * F', 'app.short': 'short' });
    expect(trimmed.droppedAttributesCount).toBe(5);
    expect(counts).toEqual({ spans: 1, attributes: 2, values: 1, events: 0 });
    expect(span.droppedAttributesCount).toBe(3);
    const { attributes, droppedAttributesCount, ...others } = span;
    expect(trimmed).toMatchObject({ ...others, spanContext: expect.any(Function) });
    expect(trimmed.spanContext()).toBe(span.spanContext());
  });

  it('hands on the span itself when there is nothing to trim', () => {
    const span = fakeSpan({ attributes: { 'http.request.method': 'GET', n: Number.NaN }, events: [event('one')] });
    const { trimmed, counts } = trim(span);
    expect(trimmed).toBe(span);
    expect(counts).toEqual({ spans: 0, attributes: 0, values: 0, events: 0 });
  });

  it('neither removes nor cuts what conventions require, nor what is to be kept, whatever is called verbose', () => {
    const long = 'x'.repeat(100);
    const attributes = Object.fromEntries(
      [...REQUIRED_ATTRIBUTES, 'app.tenant', 'app.kept.a'].map((key) => [key, long]),
    );
    const all = new AttributeRules(['*'], ['app.tenant', 'app.kept.*']);
    const { trimmed } = trim(fakeSpan({ events: [], attributes: { ...attributes, 'app.other': 'x' } }), LIMITS, all);
    expect(trimmed.attributes).toEqual(attributes);
    expect(trimmed.droppedAttributesCount).toBe(1);
  });

  it('does not by default remove what is required under a condition, but cuts it', () => {
    const { trimmed } = trim(fakeSpan({ events: [], attributes: { 'url.query': 'q='.repeat(20) } }));
    expect(trimmed.attributes).toEqual({ 'url.query': 'q=q=q=q=q=' });
    expect(trimmed.droppedAttributesCount).toBe(0);
  });

  it('keeps the first events and every exception, without its stack', () => {
    const exception = event('exception', { 'exception.type': 'RangeError', 'exception.stacktrace': 'at …' });
    const span = fakeSpan({
      attributes: {},
      droppedEventsCount: 1,
      events: [event('a'), event('b', { 'app.long': 'x'.repeat(20) }), event('c'), exception, event('d')],
    });
    const { trimmed, counts } = trim(span);
    expect(trimmed.events).toEqual([
      event('a'),
      { ...event('b', { 'app.long': 'x'.repeat(10) }), droppedAttributesCount: 0 },
      { ...event('exception', { 'exception.type': 'RangeError' }), droppedAttributesCount: 1 },
    ]);
    expect(trimmed.droppedEventsCount).toBe(3);
    expect(trimmed.droppedAttributesCount).toBe(0);
    expect(counts).toEqual({ spans: 1, attributes: 1, values: 1, events: 2 });
  });

  it('trims links too', () => {
    const context = { traceId: '1', spanId: '2', traceFlags: 1 };
    const link = { context, attributes: { 'thread.id': 7, 'messaging.system': 'kafka' }, droppedAttributesCount: 2 };
    const { trimmed } = trim(fakeSpan({ attributes: {}, events: [], links: [link, { context }] }));
    expect(trimmed.links).toEqual([
      { context, attributes: { 'messaging.system': 'kafka' }, droppedAttributesCount: 3 },
      { context },
    ]);
  });
});

describe('the lists', () => {
  it('call nothing verbose that is required but what a pattern covers', () => {
    const removed = REQUIRED_ATTRIBUTES.filter(
      (key) => new AttributeRules(VERBOSE_ATTRIBUTES, []).ruleOf(key) !== 'keep',
    );
    expect(removed).toEqual([]);
    expect(VERBOSE_ATTRIBUTES.filter((pattern) => REQUIRED_ATTRIBUTES.includes(pattern))).toEqual([]);
  });

  it.each([
    ['http.request.header.cookie', 'remove'],
    ['exception.stacktrace', 'remove'],
    ['process.pid', 'keep'],
    ['process.command_args', 'remove'],
    ['db.statement', 'cut'],
    ['app.anything', 'cut'],
  ] as const)('%s: %s', (key, rule) => {
    expect(rules.ruleOf(key)).toBe(rule);
  });

  it('are looked up in bounded memory, whatever keys come', () => {
    for (let i = 0; i < 10_000; i++) rules.ruleOf(`app.user.${i}`);
    expect((Reflect.get(rules, 'rules') as Map<string, unknown>).size).toBeLessThanOrEqual(2_000);
    expect(rules.ruleOf('app.user.9999')).toBe('cut');
  });
});
