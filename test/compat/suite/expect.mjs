import assert from 'node:assert/strict';
import { missing } from './site.mjs';

// A leaked timer or socket lasts for seconds or for ever; the rest is the time a busy machine takes to end a process.
const EXIT_MILLIS = 3_000;

/** The application was itself: it used only its own packages, and ended by itself once it had reported. */
export function expectCleanExit({ exitCode, exitMillis, strayModules, stderr }, allowedMillis = EXIT_MILLIS) {
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(strayModules, [], 'modules from outside the application');
  assert.ok(exitMillis < allowedMillis, `the process ended by itself only ${Math.round(exitMillis)} ms after its work`);
}

/** Every span that ended was received, and the books say so at every moment. */
export function expectNothingLost(report, ...sites) {
  const { ended, sampledKeys, unbalanced, status } = report;
  assert.equal(missing(sampledKeys, ...sites), 0, 'spans that no collector has received');
  assert.equal(status.totals.ended, ended);
  assert.deepEqual(status.totals.dropped, {});
  assert.equal(status.totals.waiting, 0);
  assert.ok(status.balanced && unbalanced === 0, `unbalanced at ${unbalanced} samples`);
}
