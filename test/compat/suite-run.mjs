import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './npm.mjs';

/** Runs the suite by the matrix's Node; `onResult` gets `{ part, name, ok, millis, error }` as they come. */
export async function runSuite(matrix, { app, driver, node }, onResult) {
  const suite = join(driver, 'suite');
  const env = {
    ...process.env,
    COMPAT: JSON.stringify({ appFolder: app, traceSdk: matrix.traceSdk.replace(/@[\d.]+$/, '') }),
  };
  const files = readdirSync(suite).filter((file) => file.endsWith('.test.mjs'));
  const runs = files.map(async (file) => {
    const part = file.replace('.test.mjs', '');
    const args = ['--test', '--test-reporter=./reporter.mjs', '--test-reporter-destination=stdout', file];
    let failed = 0;
    const { code, stderr } = await run(node, args, {
      cwd: suite,
      env,
      onLine(line) {
        const result = JSON.parse(line);
        if (!result.ok) failed++;
        onResult({ part, ...result });
      },
    });
    if (code !== 0 && failed === 0) onResult({ part, name: file, ok: false, millis: 0, error: stderr });
  });
  await Promise.all(runs);
}
