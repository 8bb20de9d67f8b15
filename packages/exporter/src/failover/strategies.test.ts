import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStrategy, FAILOVER_STRATEGIES, leastRecentlyAttempted, type Rankable } from './strategies.js';

interface Candidate extends Rankable {
  readonly name: string;
}

const candidate = (name: string, facts: Partial<Candidate> = {}): Candidate => ({
  name,
  priority: 0,
  weight: 1,
  inFlight: 0,
  ewmaMillis: undefined,
  lastAttemptAt: undefined,
  lastTurn: 0,
  ...facts,
});

const names = (candidates: Iterable<Candidate>) => Array.from(candidates, ({ name }) => name).join('');

/** A small generator (mulberry32), so that statistics are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const clock = new VirtualClock();

describe('the order in which endpoints are asked', () => {
  it('contains every endpoint once, whatever the strategy', () => {
    const facts = fc.record({
      priority: fc.nat(3),
      weight: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      inFlight: fc.nat(5),
      ewmaMillis: fc.option(fc.double({ min: 0, max: 1e4, noNaN: true }), { nil: undefined }),
      lastAttemptAt: fc.option(fc.nat(1_000), { nil: undefined }),
      lastTurn: fc.nat(9),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...FAILOVER_STRATEGIES),
        fc.array(facts, { maxLength: 6 }),
        fc.nat(),
        (name, all, seed) => {
          const candidates = all.map((some, index) => candidate(String(index), some));
          const rank = createStrategy(name, { clock, random: seeded(seed) });
          expect(new Set(rank(candidates))).toEqual(new Set(candidates));
          expect(rank(candidates)).toHaveLength(candidates.length);
        },
      ),
    );
  });

  it('priority: the lower number first, equals as given', () => {
    const rank = createStrategy('priority', { clock });
    const candidates = [
      candidate('c', { priority: 7 }),
      candidate('a'),
      candidate('b'),
      candidate('0', { priority: 2 }),
    ];
    expect(names(rank(candidates))).toBe('ab0c');
  });

  it('roundRobin: each in turn, evenly among those who are left when one is out', () => {
    const rank = createStrategy('roundRobin', { clock });
    const three = [candidate('a'), candidate('b'), candidate('c')];
    expect([1, 2, 3, 4].map(() => names(rank(three)))).toEqual(['abc', 'bca', 'cab', 'abc']);
    const firsts = Array.from({ length: 100 }, () => rank(three.slice(1))[0]!.name);
    expect(firsts.filter((name) => name === 'b')).toHaveLength(50);
    expect(rank([])).toEqual([]);
  });

  it('weighted: each place in proportion to the weights of those still in the race', () => {
    const rank = createStrategy('weighted', { clock, random: seeded(1) });
    const candidates = [candidate('a', { weight: 6 }), candidate('b', { weight: 3 }), candidate('c')];
    const orders = Array.from({ length: 20_000 }, () => names(rank(candidates)));
    const share = (start: string) => orders.filter((order) => order.startsWith(start)).length / orders.length;
    // 5 standard deviations of a share around 0.5 over 20,000 draws are 0.018.
    expect(Math.abs(share('a') - 0.6)).toBeLessThan(0.018);
    expect(Math.abs(share('b') - 0.3)).toBeLessThan(0.018);
    expect(Math.abs(share('ab') - 0.6 * 0.75)).toBeLessThan(0.018);
  });

  it('random: each order as often as any other', () => {
    const rank = createStrategy('random', { clock, random: seeded(2) });
    const candidates = [candidate('a', { weight: 100 }), candidate('b'), candidate('c')];
    const counts = new Map<string, number>();
    for (let draw = 0; draw < 12_000; draw++) {
      const order = names(rank(candidates));
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // 5 standard deviations of a count around 2,000 are 204.
    for (const count of counts.values()) expect(Math.abs(count - 2_000)).toBeLessThan(204);
  });

  it('fastest: the lowest average, after those who have never been measured', () => {
    const rank = createStrategy('fastest', { clock });
    const now = clock.now();
    const slow = candidate('s', { ewmaMillis: 80, lastAttemptAt: now });
    const fast = candidate('f', { ewmaMillis: 20, lastAttemptAt: now });
    expect(names(rank([slow, fast]))).toBe('fs');
    expect(names(rank([slow, fast, candidate('n')]))).toBe('nfs');
  });

  it('fastest: one call at a time finds out about an endpoint that is unknown or has been left alone', () => {
    const rank = createStrategy('fastest', { clock });
    const now = clock.now();
    const fast = candidate('f', { ewmaMillis: 20, lastAttemptAt: now });
    expect(names(rank([candidate('n', { lastAttemptAt: now, inFlight: 1 }), fast]))).toBe('fn');
    const leftAlone = { ewmaMillis: 80 };
    expect(names(rank([candidate('s', { ...leftAlone, lastAttemptAt: now - 5_000 }), fast]))).toBe('fs');
    expect(names(rank([candidate('s', { ...leftAlone, lastAttemptAt: now - 20_000 }), fast]))).toBe('sf');
    expect(names(rank([candidate('s', { ...leftAlone, lastAttemptAt: now, inFlight: 1 }), fast]))).toBe('fs');
  });

  it('leastInFlight: the fewest open, and in turn among equals', () => {
    const rank = createStrategy('leastInFlight', { clock });
    const candidates = [
      candidate('a', { inFlight: 2, lastTurn: 1 }),
      candidate('b', { inFlight: 1, lastTurn: 9 }),
      candidate('c', { inFlight: 1, lastTurn: 3 }),
    ];
    expect(names(rank(candidates))).toBe('cba');
  });
});

describe('leastRecentlyAttempted', () => {
  it('yields each endpoint once, looking anew at each step who has waited longest', () => {
    const turns = [3, 1, 2].map((lastTurn) => ({ ...candidate(String(lastTurn)), lastTurn }));
    const order = leastRecentlyAttempted(turns);
    expect(order.next().value?.name).toBe('1');
    // While the first was being asked, another call has asked the one that was next.
    turns[2]!.lastTurn = 8;
    expect(names(order)).toBe('32');
  });
});
