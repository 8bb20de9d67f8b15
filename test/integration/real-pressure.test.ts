// Real CPUs, a real event loop, real cgroups. What may not be had here (no cgroup v1, not root) is skipped with a line.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  CpuTrigger,
  DegradationController,
  EventLoopTrigger,
  MemoryTrigger,
  type Trigger,
} from '@otel-resilience/degradation';
import { afterEach, describe, expect, it, vi } from 'vitest';

const INTERVAL = 500;
const MIB = 2 ** 20;

let undo: Array<() => unknown> = [];
afterEach(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
});

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

function watch(trigger: Trigger, recoveryIntervalMillis = INTERVAL): DegradationController {
  const controller = new DegradationController({
    triggers: [trigger],
    evaluationIntervalMillis: INTERVAL,
    recoveryIntervalMillis,
  });
  undo.push(() => controller.stop());
  controller.start();
  return controller;
}

/** Until the trigger has a value and the level is normal. */
const calm = (controller: DegradationController) =>
  vi.waitFor(
    () => expect(controller.status()).toMatchObject({ level: 'normal', triggers: [{ value: expect.any(Number) }] }),
    { timeout: 10_000, interval: 10 },
  );

const yesOrNo = [() => true, () => false] as const;

/** Milliseconds until the level has left normal. */
async function untilRaised(controller: DegradationController): Promise<number> {
  const since = performance.now();
  await vi.waitFor(() => expect(controller.level).not.toBe('normal'), { timeout: 10_000, interval: 5 });
  return performance.now() - since;
}

/** Two evaluation intervals, and what a busy machine's timers are late by. */
const TWO_INTERVALS = 2 * INTERVAL + 250;

describe('worker threads burn all cores', () => {
  it('raises the level within two evaluation intervals, and it goes down step by step', async () => {
    // What else runs on this machine must not be taken for the burners, nor hinder recovery.
    const thresholds = { light: 95, moderate: 96, heavy: 99.9, emergency: 100 };
    const recoveryThreshold = 94;
    const controller = watch(new CpuTrigger({ source: 'host', thresholds, recoveryThreshold }));
    const isCalm = await calm(controller).then(...yesOrNo);
    if (!isCalm) {
      console.log('all cores are busy without us: what is left to see is that the level says so');
      expect(controller.level).not.toBe('normal');
      return;
    }

    const burners = Array.from(
      { length: availableParallelism() },
      () => new Worker('require("node:worker_threads").parentPort.postMessage(0); for (;;);', { eval: true }),
    );
    const end = () => Promise.all(burners.map((burner) => burner.terminate()));
    undo.push(end);
    await Promise.all(burners.map((burner) => once(burner, 'message')));
    expect(await untilRaised(controller)).toBeLessThan(TWO_INTERVALS);

    await end();
    const hasRecovered = await calm(controller).then(...yesOrNo);
    const steps = controller.history().filter(({ cause }) => cause === 'recovery');
    if (hasRecovered) expect(steps.at(-1)).toMatchObject({ from: 'light', to: 'normal' });
    else console.log('others have kept all cores busy: no recovery to see');
    const levels = ['normal', 'light', 'moderate', 'heavy', 'emergency'];
    for (const { from, to } of steps) expect(levels.indexOf(from) - levels.indexOf(to)).toBe(1);
    for (const [index, step] of steps.entries()) {
      if (index > 0) expect(step.time - steps[index - 1]!.time).toBeGreaterThanOrEqual(INTERVAL - 20);
    }
  }, 60_000);
});

describe('the event loop is blocked', () => {
  it('raises the level with the next evaluation, and recovers', async () => {
    const controller = watch(
      new EventLoopTrigger({ thresholds: { light: 200, moderate: 10_000, heavy: 10_000, emergency: 10_000 } }),
    );
    await calm(controller);
    const until = performance.now() + 700;
    while (performance.now() < until);
    expect(await untilRaised(controller)).toBeLessThan(INTERVAL);
    await calm(controller);
  });
});

const V1 = '/sys/fs/cgroup';
const whyNoV1 = missingV1();
if (whyNoV1) console.log(`cgroup v1 tests are skipped: ${whyNoV1}`);

describe.skipIf(whyNoV1)('a real cgroup v1 near its limit', () => {
  it('memory: raises the level within two evaluation intervals', async () => {
    const limit = 256 * MIB;
    const group = cgroup('memory', { 'memory.limit_in_bytes': limit });
    const code =
      'process.stdin.once("data", (bytes) => { globalThis.kept = Buffer.alloc(Number(bytes), 1); console.log(1); });';
    const child = hog([group], code);
    await printed(child);
    const trigger = new MemoryTrigger({ rootDirectory: asSeenBy(child) });
    const controller = watch(trigger);
    await calm(controller);
    expect(trigger.source).toBe('cgroup');
    const used = () => Number(readFileSync(join(group, 'memory.usage_in_bytes'), 'utf8'));
    child.stdin!.write(`${0.88 * limit - used()}`);
    await printed(child);
    expect(await untilRaised(controller)).toBeLessThan(TWO_INTERVALS);
    expect(controller.status().triggers[0]!.value).toBeLessThanOrEqual((100 * used()) / limit + 1);
  }, 30_000);

  it('CPU: a fifth of a core, used up, is 100 % and throttled', async () => {
    const groups = [cgroup('cpu', { 'cpu.cfs_quota_us': 20_000 }), cgroup('cpuacct', {})];
    const child = hog(groups, `process.stdin.once('data', () => { for (;;); });`);
    await printed(child);
    const rootDirectory = asSeenBy(child);
    const usage = new CpuTrigger({ rootDirectory });
    const throttling = watch(new CpuTrigger({ measure: 'throttling', rootDirectory }));
    const controller = watch(usage);
    await calm(controller);
    expect(usage.source).toBe('cgroup');
    child.stdin!.write('go');
    expect(await untilRaised(controller)).toBeLessThan(TWO_INTERVALS);
    await untilRaised(throttling);
    await vi.waitFor(() => expect(controller.status().triggers[0]!.value).toBeGreaterThan(90), { timeout: 5_000 });
    expect(controller.status().triggers[0]!.value).toBeLessThan(130);
  }, 30_000);
});

/** A cgroup of our own in one hierarchy, with these limits; of the same name in all of them. */
function cgroup(controller: string, limits: Record<string, number>): string {
  const directory = join(V1, controller, `real-pressure-${process.pid}`);
  mkdirSync(directory);
  undo.push(() => vi.waitFor(() => rmdirSync(directory), { timeout: 5_000 }));
  for (const [file, value] of Object.entries(limits)) writeFileSync(join(directory, file), `${value}`);
  return directory;
}

/** A process that is born into these cgroups; it prints a line when it runs, and waits for its stdin. */
function hog(groups: readonly string[], code: string): ChildProcess {
  const join = groups.map((group) => `echo $$ > ${group}/cgroup.procs`).join(' && ');
  const child = spawn('sh', ['-c', `${join} && exec "$0" -e "$1"`, process.execPath, `${code} console.log(0);`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  undo.push(async () => {
    child.kill('SIGKILL');
    await sleep(50);
  });
  return child;
}

const printed = (child: ChildProcess) => new Promise((resolve) => child.stdout!.once('data', resolve));

/** A root directory in which `/proc/self` is another process. */
function asSeenBy({ pid }: ChildProcess): string {
  const root = mkdtempSync(join(tmpdir(), 'as-seen-by-'));
  undo.push(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'proc'));
  symlinkSync(`/proc/${pid}`, join(root, 'proc', 'self'));
  for (const file of ['stat', 'meminfo']) symlinkSync(`/proc/${file}`, join(root, 'proc', file));
  symlinkSync('/sys', join(root, 'sys'));
  return root;
}

function missingV1(): string | undefined {
  const groups: string[] = [];
  try {
    for (const controller of ['memory', 'cpu', 'cpuacct']) {
      const directory = join(V1, controller, `real-pressure-probe-${process.pid}`);
      mkdirSync(directory);
      groups.push(directory);
      readFileSync(join(directory, 'cgroup.procs'));
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const directory of groups) rmdirSync(directory);
  }
}
