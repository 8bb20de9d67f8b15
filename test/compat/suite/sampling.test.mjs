import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppProcess, SCENARIO } from './app-process.mjs';
import { expectCleanExit } from './expect.mjs';
import { missing, openSite } from './site.mjs';

const HEAVY_THRESHOLD = 'fd70a'; // 1 %, at 4 digits of precision

const run = async (entry, scenario, env) => {
  const report = await new AppProcess(entry, { args: [scenario], env }).end();
  expectCleanExit(report);
  return report;
};

describe('sampling', { concurrency: 2 }, () => {
  for (const [flavour, entry] of Object.entries(SCENARIO)) {
    it(`${flavour}: at heavy every error arrives with its trace, the rest by the head's threshold`, async (t) => {
      const site = await openSite(t, { keepOutlines: true });
      const { traces, level, balancedWhenEnded, seen, status } = await run(entry, 'degraded', { ENDPOINTS: site.url });

      assert.equal(level, 'heavy');
      assert.deepEqual(seen.sort(), ['cpu', 'eventLoop', 'heap', 'memory']);
      const kept = expectSampled(site.receiver.outlines, traces);
      assert.ok(balancedWhenEnded && status.balanced && status.tailSampling.balanced);
      const { ended, delivered, unsampled, waiting, dropped } = status.totals;
      assert.deepEqual(
        { ended, delivered, unsampled, waiting, dropped },
        { ended: 800, delivered: kept, unsampled: 800 - kept, waiting: 0, dropped: {} },
      );
    });

    it(`${flavour}: what is watched does not keep a program alive that never calls shutdown`, async (t) => {
      const site = await openSite(t);
      const { seen } = await run(entry, 'degraded', { ENDPOINTS: site.url, SHUTDOWN: 'never' });
      assert.equal(seen.length, 4);
    });

    it(`${flavour}: a stock sampler in ours, our tail before a stock processor, which sees spans ending`, async (t) => {
      const site = await openSite(t, { protocol: 'http/protobuf', keepSpans: true });
      const report = await run(entry, 'stock-sampling', { ENDPOINTS: site.url });

      const kept = expectSampled(site.receiver.spans, report.traces);
      assert.ok(site.receiver.spans.every(({ attributes }) => attributes['compat.ending'] === 'seen'));
      assert.ok(report.onEndingOnlyIfNextHasIt);
      const { ended, unsampled, balanced } = report.tail;
      assert.deepEqual({ ended, unsampled, balanced }, { ended: 800, unsampled: 800 - kept, balanced: true });
    });
  }

  it('a sampler of the ES modules and a tail of CommonJS understand each other, and the other way', async (t) => {
    const site = await openSite(t, { protocol: 'http/protobuf', keepOutlines: true });
    const { twoCopies, runs } = await run(SCENARIO.ESM, 'sampling-handover', { ENDPOINTS: site.url });

    assert.ok(twoCopies);
    expectSampled(
      site.receiver.outlines,
      runs.flatMap(({ traces }) => traces),
    );
    for (const { ended, tail, shutDown } of runs) {
      assert.deepEqual([ended.ended, ended.balanced, shutDown.ended, shutDown.balanced], [200, true, 200, true]);
      assert.deepEqual([tail.kept.error, tail.uncounted, tail.balanced], [10, 0, true]);
    }
  });
});

const ALL = { root: 'all', 'of a sampled parent': 'all', 'of an unsampled parent': 'all' };
const NONE = { root: 'none', 'of a sampled parent': 'none', 'of an unsampled parent': 'none' };
const FOLLOWED = { 'of a sampled parent': 'all', 'of an unsampled parent': 'none' };
const QUARTER = { threshold: 'c', matches: (traceId) => randomness(traceId) >= 'c'.padEnd(14, '0') };

/** What OTEL_TRACES_SAMPLER asks for, and what becomes of spans of each kind. */
const SAMPLERS = {
  always_on: ALL,
  always_off: NONE,
  traceidratio: { root: QUARTER, 'of a sampled parent': QUARTER, 'of an unsampled parent': QUARTER },
  parentbased_always_on: { ...FOLLOWED, root: 'all' },
  parentbased_always_off: { ...FOLLOWED, root: 'none' },
  parentbased_traceidratio: { ...FOLLOWED, root: QUARTER },
};

describe('OTEL_TRACES_SAMPLER', { concurrency: 2 }, () => {
  for (const [name, wanted] of Object.entries(SAMPLERS)) {
    it(`${name}: roots, and spans of sampled and unsampled remote parents`, async (t) => {
      const site = await openSite(t, { keepOutlines: true });
      const env = { ENDPOINTS: site.url, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0.25' };
      const { spans, status } = await run(SCENARIO.CommonJS, 'parents', env);

      for (const span of spans) {
        const expected = wanted[span.kind];
        const sampled = expected === 'all' || (expected !== 'none' && expected.matches(span.traceId));
        assert.equal(span.sampled, sampled, `${span.kind} ${span.traceId}`);
        if (span.kind !== 'root') assert.match(span.traceState, /(^|,)vendor=a(,|$)/);
        // What has been decided here by the random number alone can be counted.
        if (sampled && expected !== 'all') assert.equal(thresholdOf(span), expected.threshold);
      }
      const keys = spans.filter(({ sampled }) => sampled).map(({ traceId, spanId }) => traceId + spanId);
      assert.equal(missing(keys, site), 0);
      assert.equal(site.receiver.spanIds.size, keys.length);
      const { delivered, dropped } = status.totals;
      assert.deepEqual(
        { delivered, dropped, balanced: status.balanced },
        { delivered: keys.length, dropped: {}, balanced: true },
      );
    });
  }
});

/** Every trace with an error complete and standing for itself; of the others those, as such, that the head has kept. */
function expectSampled(received, traces) {
  const expected = new Map();
  for (const { traceId, spanIds, failed } of traces) {
    const threshold = failed ? '0' : HEAVY_THRESHOLD;
    if (randomness(traceId) < threshold.padEnd(14, '0')) continue;
    for (const spanId of spanIds) expected.set(traceId + spanId, threshold);
  }
  const found = new Map(received.map((span) => [span.traceId + span.spanId, thresholdOf(span)]));
  assert.equal(received.length, found.size, 'duplicates');
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
  return found.size;
}

const randomness = (traceId) => traceId.slice(-14);
const thresholdOf = ({ traceState }) => /(?:^|,)ot=(?:[^,]*;)?th:([0-9a-f]+)/.exec(traceState)?.[1];
