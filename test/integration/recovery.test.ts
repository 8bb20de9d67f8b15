import { describe, expect, it } from 'vitest';
import { HttpLeaf } from './http-leaf.js';
import { type Fault, type OutageOptions, runOutage } from './outage.js';

// The campaign: OUTAGE_RUNS=5 OUTAGE_MILLIS=15000 OUTAGE_STOCK=1. The default is what every `npm test` can afford.
const runs = Number(process.env.OUTAGE_RUNS ?? 1);
const outageMillis = Number(process.env.OUTAGE_MILLIS ?? 5_000);
const withStock = process.env.OUTAGE_STOCK === '1';

type Leaf = Pick<OutageOptions, 'protocol' | 'pipeline'> & { readonly name: string; readonly boundMillis: number };

const abortable: Leaf = {
  name: 'an abortable HTTP leaf',
  protocol: 'http/protobuf',
  pipeline: (urls) => ({ exporters: urls.map((url) => new HttpLeaf(url)) }),
  boundMillis: 1_000,
};

// What `resilience({ endpoints })` makes. No bound: stock HTTP retries inside itself, stock gRPC has to connect.
const stock: Leaf[] = (['http/protobuf', 'grpc'] as const).map((protocol) => ({
  name: `the stock exporter (${protocol})`,
  protocol,
  pipeline: (urls) => ({ endpoints: urls.map((url) => ({ url, protocol })) }),
  boundMillis: Number.POSITIVE_INFINITY,
}));

describe.each(withStock ? [abortable, ...stock] : [abortable])('over $name', (leaf) => {
  describe.each<Fault>(['refuse', 'blackHole'])(
    'every endpoint dead (%s), at 2,000 spans/s with the defaults',
    (fault) => {
      it.each(Array.from({ length: runs }, (_, run) => run + 1))(
        'run %i: the first success comes within the bound after the recovery, and no span is lost',
        async () => {
          const result = await runOutage({ ...leaf, fault, outageMillis });
          console.log(
            `${leaf.name}, ${fault}: first success after ${result.firstSuccessMillis.toFixed(0)} ms`,
            JSON.stringify(result),
          );
          expect(result).toMatchObject({ missing: 0, dropped: {}, balanced: true });
          expect(result.firstSuccessMillis).toBeLessThanOrEqual(leaf.boundMillis);
          expect(result.ended).toBeGreaterThan(2 * outageMillis);
        },
        outageMillis + 150_000,
      );
    },
  );
});
