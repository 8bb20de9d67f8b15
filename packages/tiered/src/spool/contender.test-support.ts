import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { systemClock } from '@otel-resilience/core';
import { newToken } from './frame.js';
import { nodeFileSystem } from './node-file-system.js';
import { systemProcesses } from './process-identity.js';
import { segmentName } from './segment.js';
import { acquireDirectory, type OwnedDirectory } from './spool-directory.js';

/**
 * A process that takes the directory, writes segments, gives it back or not, and begins again, until it is killed.
 * Whoever writes in a directory says so in a file beside it: one who finds a live other writer there has found a bug.
 */
export async function contend(root: string, signs: string): Promise<void> {
  const { pid, startTime } = systemProcesses.self();
  for (let round = 0; ; round++) {
    const owned = await acquireDirectory({ directory: root, fileSystem: nodeFileSystem, clock: systemClock });
    const sign = join(signs, basename(owned.path));
    const other = readSign(sign);
    if (other && systemProcesses.isAlive({ ...systemProcesses.self(), ...other })) {
      process.send?.({ violation: `${owned.path} is written to by ${other.pid} and ${pid}` });
    }
    writeFileSync(sign, JSON.stringify({ pid, startTime, round }));
    await work(owned, `${pid}-${startTime}-${round}`);
    const own = readSign(sign);
    if (own?.pid !== pid || own.round !== round || !(await owned.confirm())) {
      process.send?.({ violation: `${owned.path} was taken from ${pid}, which lives` });
    }
    rmSync(sign);
    // Now and then one is forgotten; its process lives on, and so nobody takes it.
    if (Math.random() < 0.9) await owned.release();
    else if (round > 20) return;
  }
}

async function work(owned: OwnedDirectory, name: string): Promise<void> {
  process.send?.({ adopted: owned.adopted.length });
  const numbers = (await nodeFileSystem.list(owned.path)).map((file) => Number.parseInt(file.slice(0, 16), 16));
  let number = Math.max(0, ...numbers.filter(Number.isSafeInteger));
  for (let i = 0; i < 3; i++) {
    const segment = `${name}-${i}`;
    const file = await owned.fileSystem.open(`${owned.path}/${segmentName(++number, newToken())}`, 'create');
    await file.write([Buffer.from(segment)], 0);
    await file.close();
    process.send?.({ segment });
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
  }
}

function readSign(path: string): { pid: number; startTime: number; round: number } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

const [root, signs] = process.argv.slice(2);
if (root && signs) void contend(root, signs);
