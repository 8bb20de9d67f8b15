import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    include: [
      '{packages,examples}/*/src/**/*.test.ts',
      'test/{invariants,stock-defects,integration,bad-input,crash,load,day}/**/*.test.ts',
    ],
    testTimeout: 30_000,
    pool: 'forks',
  },
});
