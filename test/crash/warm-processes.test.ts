import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WarmProcesses } from './warm-processes.js';

/** Leaves its pid where it lies, and ends when it has its job. */
const SCRIPT = `
import { writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
process.stderr.write('begun');
writeFileSync(new URL('pid-' + process.pid, import.meta.url), '');
await text(process.stdin);
process.exitCode = 3;
`;

let scratch: string;
let processes: WarmProcesses;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-warm-'));
  const script = join(scratch, 'script.mjs');
  await writeFile(script, SCRIPT);
  processes = new WarmProcesses(script, 1);
});

afterEach(async () => {
  await processes.close();
  await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
});

const begunPids = async (): Promise<number[]> => {
  const names = await readdir(scratch);
  return names.flatMap((name) => (name.startsWith('pid-') ? [Number(name.slice(4))] : []));
};

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('WarmProcesses', () => {
  it('says how a process has ended, and what it has written', async () => {
    expect(await processes.perform({})).toMatchObject({ code: 3, signal: null, errors: 'begun' });
  });

  it('says so when a process has died while it waited, and goes on with another', async () => {
    const { pid: first } = await processes.perform({});
    await expect.poll(begunPids).toHaveLength(2);
    const [waiting] = (await begunPids()).filter((pid) => pid !== first);
    process.kill(waiting!, 'SIGKILL');
    await expect.poll(() => isThere(waiting!)).toBe(false);
    await expect(processes.perform({})).rejects.toThrow('before it was given its job: SIGKILL begun');
    expect(await processes.perform({})).toMatchObject({ code: 3 });
  });
});
