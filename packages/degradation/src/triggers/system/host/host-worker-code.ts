/**
 * Runs in a worker thread, since `currentLoad` blocks, for the longer the more processors there are. As text, because a
 * file of its own would have to be found by whatever bundler or loader the application uses; CommonJS, because that is
 * what `eval: true` takes.
 *
 * Answers `{ id, resource }` with `{ id, used, capacity }` or `{ id, error }`. For the CPU both are totals in
 * milliseconds of CPU time since the thread began, so that whoever asks takes the difference of two answers.
 *
 * - `systeminformation` paces itself by `Date.now`, and a wall clock that is set back would freeze what it says. Here,
 *   in a realm of our own, `Date.now` is monotonic.
 * - On Linux it runs a shell with every sample, for milliseconds of CPU time, to grep in `/proc/stat`. The file is read
 *   here instead.
 * - Its first answer takes half a second to come, of which we need the 200 ms below which it repeats itself.
 * - Its percentage leaves out the time that processors waited for I/O, so that a host which only waits seems to be busy;
 *   here it is busy time ÷ elapsed time. Time stolen by the hypervisor is busy; it comes in ticks of 10 ms.
 */
export const HOST_WORKER_CODE = `
'use strict';
const childProcess = require('node:child_process');
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { parentPort, workerData } = require('node:worker_threads');

const MIN_INTERVAL_MILLIS = 205;
Date.now = () => performance.timeOrigin + performance.now();

const { execSync } = childProcess;
childProcess.execSync = (command, options) => {
  if (!command.startsWith('cat /proc/stat')) return execSync(command, options);
  const lines = readFileSync('/proc/stat', 'latin1').split('\\n');
  return lines.filter((line) => line.startsWith('cpu')).join('\\n');
};

function load() {
  let failure;
  for (const base of workerData.resolveFrom) {
    try {
      return createRequire(base)('systeminformation');
    } catch (error) {
      failure = failure ?? error;
    }
  }
  const said = String(failure && failure.message).split('\\n')[0];
  throw new Error('systeminformation cannot be loaded: ' + said + '; a bundle has to leave it external');
}

const systeminformation = load();

const cpu = { at: undefined, used: 0, capacity: 0 };

async function sampleCpu() {
  const isFirst = cpu.at === undefined;
  const since = isFirst ? performance.now() : cpu.at;
  cpu.at = performance.now();
  const load = await (isFirst ? firstLoad() : systeminformation.currentLoad());
  if (isFirst) cpu.at = performance.now();
  if (load.cpus.length === 0) throw new Error('systeminformation: no CPU times');
  const stolen = process.platform === 'linux' ? 10 * load.rawCurrentLoadSteal : 0;
  const busy =
    load.rawCurrentLoadUser + load.rawCurrentLoadNice + load.rawCurrentLoadSystem + load.rawCurrentLoadIrq + stolen;
  const capacity = load.cpus.length * (cpu.at - since);
  // Less than before when a CPU has been taken away; a little more than all when ticks are counted late.
  if (!(busy >= 0)) return;
  cpu.used += Math.min(busy, capacity);
  cpu.capacity += capacity;
}

async function firstLoad() {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (callback, millis) => setTimeout(callback, Math.min(millis, MIN_INTERVAL_MILLIS));
  try {
    return await systeminformation.currentLoad();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
}

const isDue = () => cpu.at === undefined || performance.now() - cpu.at >= MIN_INTERVAL_MILLIS;

let previous = Promise.resolve();

const resources = {
  async cpu() {
    const turn = previous.then(() => (isDue() ? sampleCpu() : undefined));
    previous = turn.catch(() => undefined);
    await turn;
    return { used: cpu.used, capacity: cpu.capacity };
  },
  async memory() {
    const { total, available } = await systeminformation.mem();
    return { used: total - available, capacity: total };
  },
};

parentPort.on('message', async ({ id, resource }) => {
  try {
    parentPort.postMessage({ id, ...(await resources[resource]()) });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error && error.message) });
  }
});
`;
