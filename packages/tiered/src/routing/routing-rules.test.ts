import { ConfigurationError } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { setUpScripted } from '../../../../test/support/tiered.js';
import type { TieredSpanExporterOptions } from '../options.js';
import { MemorySpool } from '../spool/memory-spool.js';

const made = (options: Partial<TieredSpanExporterOptions>) => () => setUpScripted('delivered', options);
const warm = new MemoryObjectStore();
const spool = new MemorySpool();

describe('rules that cannot be obeyed', () => {
  it.each<[string, Partial<TieredSpanExporterOptions>, string]>([
    ['name a tier that is not there', { rules: [{ to: ['hot', 'warm'] }] }, 'TieredSpanExporter.rules[0].to'],
    ['name no tier', { rules: [{ to: [] }] }, 'TieredSpanExporter.rules[0].to'],
    ['name something else', { rules: [{ to: 'lukewarm' as never }] }, 'TieredSpanExporter.rules[0].to'],
    [
      'ask for a level that nobody gives',
      { warm, rules: [{ fromLevel: 'heavy', to: 'warm' }] },
      'TieredSpanExporter.rules[0].fromLevel',
    ],
    [
      'ask for a level that there is not',
      { warm, rules: [{ fromLevel: 'extreme' as never, to: 'warm' }] },
      'TieredSpanExporter.rules[0].fromLevel',
    ],
    [
      'have a condition that there is not',
      { warm, rules: [{ route: '/x', to: 'warm' } as never] },
      'TieredSpanExporter.rules[0].route',
    ],
    [
      'have an age that is none',
      { warm, rules: [{ minAgeMillis: -1, to: 'warm' }] },
      'TieredSpanExporter.rules[0].minAgeMillis',
    ],
    ['send nothing to cold', { cold: warm, rules: [{ to: 'hot' }] }, 'TieredSpanExporter.cold'],
    ['are none, and there is a cold tier', { cold: warm }, 'TieredSpanExporter.cold'],
  ])('%s', (_, options, path) => {
    expect(made(options)).toThrow(ConfigurationError);
    expect(made(options)).toThrow(expect.objectContaining({ path }));
  });

  it.each<[string, unknown, string]>([
    ['nothing that archives', {}, 'TieredSpanExporter.warm'],
    ['a path', '/var/archive', 'TieredSpanExporter.warm'],
    ['both', { store: warm, exporter: { export() {}, shutdown() {} } }, 'TieredSpanExporter.warm'],
    [
      'a class for an exporter',
      { exporter: { export() {}, shutdown() {} }, storageClass: 'GLACIER' },
      'TieredSpanExporter.warm.storageClass',
    ],
    ['an option that there is not', { store: warm, delay: 3 }, 'TieredSpanExporter.warm.delay'],
    ['one that waits in the spool of hot', { store: warm, spool }, 'TieredSpanExporter.warm.spool'],
  ])('a tier that is %s', (_, given, path) => {
    expect(made({ spool, warm: given as never })).toThrow(expect.objectContaining({ path }));
  });
});
