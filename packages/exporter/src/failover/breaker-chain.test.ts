import {
  ConfigurationError,
  deliveredOutcome,
  EXPORT_FAILED,
  EXPORT_SUCCESS,
  type ReadableSpan,
  SpanBatch,
  type SpanExporter,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker, CircuitBreakerSpanExporter } from '../circuit-breaker/index.js';
import { type BreakerChainOptions, breakerChain } from './breaker-chain.js';

const batch = SpanBatch.fromSpans([{}, {}] as ReadableSpan[]);

function stock(): SpanExporter & { works: boolean; exports: number } {
  return {
    works: true,
    exports: 0,
    export(_, callback) {
      this.exports++;
      callback(this.works ? { code: EXPORT_SUCCESS } : { code: EXPORT_FAILED, error: new Error('down') });
    },
    shutdown: async () => {},
  };
}

function setUp(options: (exporters: ReturnType<typeof stock>[]) => BreakerChainOptions) {
  const clock = new VirtualClock();
  const exporters = [stock(), stock(), stock()];
  const chain = breakerChain({ clock, ...options(exporters) });
  const run = () =>
    clock.run(chain.exportBatch(batch, { signal: new AbortController().signal, deadline: clock.now() + 10_000 }));
  return { clock, exporters, chain, run };
}

describe('breakerChain', () => {
  it('asks the next level while a breaker is open, and comes back to the first', async () => {
    const { clock, chain, run, exporters } = setUp((levels) => ({ levels }));
    expect(chain.states()).toEqual({ primary: 'closed', secondary: 'closed', tertiary: 'closed' });
    exporters[0]!.works = exporters[1]!.works = false;
    for (let call = 0; call < 5; call++) expect(await run()).toEqual(deliveredOutcome(2));
    expect(chain.states()).toEqual({ primary: 'open', secondary: 'open', tertiary: 'closed' });
    expect(exporters.map(({ exports }) => exports)).toEqual([3, 3, 5]);
    exporters[0]!.works = true;
    await clock.advance(30_000);
    for (let call = 0; call < 3; call++) await run();
    expect(chain.states()).toEqual({ primary: 'closed', secondary: 'open', tertiary: 'closed' });
    expect(exporters.map(({ exports }) => exports)).toEqual([6, 3, 5]);
  });

  it('gives each level the breaker it asks for', async () => {
    const shared = new CircuitBreaker({ name: 'shared' });
    const { chain, run, exporters } = setUp(([a, b, c]) => ({
      levels: [
        { name: 'collector', exporter: a!, strategy: 'consecutive', consecutiveFailures: 1 },
        new CircuitBreakerSpanExporter({ exporter: b!, breaker: shared }),
        { exporter: c!, breaker: shared },
        stock(),
      ],
    }));
    exporters[0]!.works = false;
    await run();
    shared.trip();
    expect(chain.states()).toEqual({
      collector: 'open',
      secondary: 'forced-open',
      tertiary: 'forced-open',
      'level-4': 'closed',
    });
    expect(Object.keys(chain.states())).toEqual(chain.endpoints().map(({ name }) => name));
  });

  it.each<[string, unknown]>([
    ['levels', { levels: [] }],
    ['levels[1]', { levels: [stock(), {}] }],
    ['levels[0].exporter', { levels: [{ name: 'a', exporter: {} }] }],
    ['levels[0].openMillis', { levels: [{ exporter: stock(), openMillis: -1 }] }],
    ['levels[0].weight', { levels: [{ exporter: stock(), weight: 1 }] }],
    ['levels[1].name', { levels: [stock(), { name: 'primary', exporter: stock() }] }],
    ['strategy', { levels: [stock()], strategy: 'random' }],
  ])('throws for a wrong %s', (path, options) => {
    const construct = () => breakerChain(options as BreakerChainOptions);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(expect.objectContaining({ path: `breakerChain.${path}` }));
  });
});
