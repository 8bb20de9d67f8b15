import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, longest first: were one of them the last to begin, all other workers would wait for it. */
const LONGEST: readonly string[] = [
  'test/invariants/unbiased-sampling.test.ts',
  'test/day/day.test.ts',
  'test/invariants/encoding.test.ts',
  'test/integration/recovery.test.ts',
  'test/crash/spool-crash.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

const campaign = fileURLToPath(new URL('test/support/property-campaign.ts', import.meta.url));

export default defineConfig({
  resolve: {
    tsconfigPaths: true,
    alias: process.env.PROPERTY_RUNS ? [{ find: /^fast-check$/, replacement: campaign }] : [],
  },
  test: {
    include: [
      '{packages,examples}/*/src/**/*.test.ts',
      'test/{invariants,stock-defects,integration,bad-input,crash,load,day}/**/*.test.ts',
    ],
    testTimeout: process.env.PROPERTY_RUNS ? 3_600_000 : 30_000,
    pool: 'forks',
    // Two on two cores, where the default is one: much of the suite waits for real processes, sockets and disks.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
  },
});
