import { describe, expect, it } from 'vitest';
import { HttpLeaf } from './http-leaf.js';
import { type Fault, runOutage } from './outage.js';

// OUTAGE_RUNS=5 OUTAGE_MILLIS=15000 is the campaign; the default is what every `npm test` can afford.
const runs = Number(process.env.OUTAGE_RUNS ?? 1);
const outageMillis = Number(process.env.OUTAGE_MILLIS ?? 5_000);

describe.each<Fault>(['refuse', 'blackHole'])(
  'every endpoint dead (%s), at 2,000 spans/s with the defaults',
  (fault) => {
    it.each(Array.from({ length: runs }, (_, run) => run + 1))(
      'run %i: the first success comes within a second of the recovery, and no span is lost',
      async () => {
        const result = await runOutage({
          fault,
          protocol: 'http/protobuf',
          outageMillis,
          makeExporter: (url) => new HttpLeaf(url),
        });
        console.log(`${fault}: first success after ${result.firstSuccessMillis.toFixed(0)} ms`, JSON.stringify(result));
        expect(result).toMatchObject({ missing: 0, dropped: {}, balanced: true });
        expect(result.firstSuccessMillis).toBeLessThanOrEqual(1_000);
        expect(result.ended).toBeGreaterThan(2 * outageMillis);
      },
      outageMillis + 60_000,
    );
  },
);
