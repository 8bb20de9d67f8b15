import type { SamplingRule } from '@otel-resilience/sampler';
import { describe, expect, it } from 'vitest';
import { application } from './application.js';

/** Text that would mean something in a regular expression, or in an object. */
const ODD = [
  '(a+)+$',
  '.*',
  '.',
  '^$',
  '[',
  '\\',
  '\\d',
  'a|b',
  '$&',
  '?',
  '{1,}',
  '/(?<!x)/',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  ' ',
  '\n',
  '\0',
  '🙂',
];

describe.each(ODD)('a pattern of %j', (text) => {
  it('fits that text and no other', async () => {
    const rules: SamplingRule[] = [
      { name: text, ratio: 0, keepErrors: false },
      { route: text, ratio: 0, keepErrors: false },
      { attributes: JSON.parse(`{${JSON.stringify(text)}:${JSON.stringify(text)}}`), ratio: 0, keepErrors: false },
    ];
    const { tracer, close } = application({ sampler: { rules } });
    const recorded = (name: string, attributes = {}) => {
      const span = tracer.startSpan(name, { attributes });
      span.end();
      return span.isRecording() || (span.spanContext().traceFlags & 1) === 1;
    };
    expect(recorded(text)).toBe(false);
    expect(recorded('request', { 'http.route': text })).toBe(false);
    expect(recorded('request', { 'http.target': `${text}?a=b` })).toBe(text.includes('?'));
    for (const other of ['request', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', '', `x${text}`]) {
      expect(recorded(other, { 'http.route': other, [`x${text}`]: text, text: 5 })).toBe(true);
    }
    await close();
  });
});

describe('patterns that would be slow to try', () => {
  it('are linear: no text makes a root expensive', async () => {
    const stars = `${'*a'.repeat(50)}*b`;
    const rules = [stars, '*'.repeat(1_000), `${'*'.repeat(500)}x`].flatMap((pattern): SamplingRule[] => [
      { name: `${pattern}!`, ratio: 0 },
      { route: `${pattern}!`, ratio: 0 },
    ]);
    const keepRules = [{ name: `${stars}!` }, { attributes: { 'url.full': `${stars}!` } }];
    const { tracer, r, close } = application({ sampler: { rules }, tailSampling: { keepRules } });
    r.degradation.force('heavy');
    const name = 'a'.repeat(100_000);
    const startedAt = performance.now();
    for (let i = 0; i < 20; i++) {
      tracer.startSpan(name, { attributes: { 'http.route': name, 'url.full': name } }).end();
    }
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    await close();
  });
});

describe('10,000 rules', () => {
  it('are read, tried in order, and the last one fits too', async () => {
    const rules = Array.from({ length: 10_000 }, (_, i): SamplingRule => ({ name: `op-${i}`, ratio: i % 2 }));
    const keepRules = rules.map(({ name }) => ({ name: name!, attributes: { keep: true } }));
    const startedAt = performance.now();
    const { tracer, exporter, close } = application({ sampler: { rules }, tailSampling: { keepRules } });
    for (const name of ['op-0', 'op-1', 'op-9998', 'op-9999', 'op-10000']) tracer.startSpan(name).end();
    const kept = tracer.startSpan('op-9998');
    kept.setAttribute('keep', true);
    kept.end();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    const { sampling, tailSampling } = await close();
    expect(sampling).toMatchObject({ rule: 2, sampled: 3, recordOnly: 3 });
    expect(tailSampling.kept.rule).toBe(1);
    expect(exporter.deliveredSpans.map(({ name }) => name).sort()).toEqual(['op-1', 'op-10000', 'op-9998', 'op-9999']);
  });
});

describe('rules for what nobody said', () => {
  it('fit spans without attributes, names and kinds as they are', async () => {
    const { tracer, close } = application({
      sampler: { rules: [{ kind: 'server', name: 'x', route: '/x', attributes: { a: 1 }, ratio: 0 }] },
    });
    for (const name of [undefined, null, 5, {}, Symbol('x')]) {
      for (const attributes of [undefined, null, 5, 'text', { a: {} }]) {
        tracer.startSpan(name as string, { kind: 'server' as never, attributes: attributes as never }).end();
      }
    }
    const { sampling } = await close();
    expect(sampling.sampled).toBe(25);
  });
});
