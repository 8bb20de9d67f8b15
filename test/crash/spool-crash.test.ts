// kill -9 of real processes. SPOOL_CRASH_CYCLES=2000 for more of it, SPOOL_CRASH_SEED=n for the plan of a run that failed.
import { expect, it } from 'vitest';
import { crashCycles } from './crash-cycles.js';

const cycles = Number(process.env.SPOOL_CRASH_CYCLES ?? 200);
const seed = Number(process.env.SPOOL_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31));

it('a process that is killed loses nothing that was acknowledged, and the next one starts without an error and says how much the other lost', {
  timeout: 60_000 + cycles * 500,
}, async () => {
  const report = await crashCycles({ cycles, seed });
  const { kills, kinds, acknowledged, receipts, duplicates, recovered, violations, millis } = report;
  const { ended, lost, lostAtMost, reported, unsaid } = report;
  console.log(
    `spool crash: seed ${seed}, ${kills} kills in ${(millis / 1000).toFixed(1)} s, ${acknowledged} spans acknowledged, ` +
      `${recovered} recovered, ${receipts} received, ${duplicates} of them once more; ${ended} ended, ${lost} lost, ` +
      `at most ${lostAtMost} by what is told of ${reported} processes, nothing of ${unsaid}`,
  );
  if (process.env.SPOOL_CRASH_VERBOSE) console.log(Object.fromEntries([...kinds].sort()));
  expect(violations, `seed ${seed}`).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(cycles);
  // Or it has shown nothing.
  expect(acknowledged).toBeGreaterThan(cycles);
  expect(recovered).toBeGreaterThan(0);
  expect(ended).toBeGreaterThan(cycles);
  expect(lost).toBeGreaterThan(cycles / 10);
  expect(reported).toBeGreaterThan(cycles / 2);
  expect(unsaid).toBeLessThan(3 + cycles / 100);
  const phases = new Set([...kinds.keys()].map((kind) => kind.split(' ')[0]));
  if (cycles >= 200) expect([...phases]).toEqual(expect.arrayContaining(['recovery', 'replay', 'append', 'shutdown']));
});
