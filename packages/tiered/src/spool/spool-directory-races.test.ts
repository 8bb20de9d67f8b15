import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@otel-resilience/core';
import { expect, it } from 'vitest';
import { bundle } from '../../../../test/support/bundle.js';
import { nodeFileSystem } from './node-file-system.js';
import { SEGMENT_NAME } from './segment.js';
import { acquireDirectory } from './spool-directory.js';

const PROCESSES = 20;
/** It takes 2 s, and however long the machine has other things to do. */
const PATIENCE_MILLIS = 180_000;

interface Message {
  readonly violation?: string;
  readonly segment?: string;
  readonly adopted?: number;
}

it('has one writer per directory and loses nothing, with twenty processes that are killed all the time', {
  timeout: PATIENCE_MILLIS,
}, async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-races-'));
  const [root, signs, script] = ['spool', 'signs', 'contender.mjs'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(signs);
  await writeFile(script, await bundle(new URL('./contender.test-support.ts', import.meta.url)));
  const violations: string[] = [];
  const written: string[] = [];
  let adopted = 0;
  let killed = 0;
  const living = new Set<ChildProcess>();
  const busy = new Set<ChildProcess>();
  const start = () => {
    const child = fork(script, [root, signs], { execArgv: [] });
    living.add(child);
    child.on('message', (message: Message) => {
      busy.add(child);
      if (message.violation) violations.push(message.violation);
      if (message.segment) written.push(message.segment);
      adopted += message.adopted ?? 0;
    });
    child.on('close', () => {
      living.delete(child);
      busy.delete(child);
    });
  };
  try {
    while (killed <= PROCESSES || written.length <= 100 || adopted <= 50) {
      while (living.size < PROCESSES) start();
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
      // On a machine that is busy otherwise they would all be killed before they have begun.
      const one = [...busy][Math.floor(Math.random() * busy.size)];
      if (one?.kill('SIGKILL')) killed++;
    }
    const last = [...living];
    for (const child of last) child.kill('SIGKILL');
    await Promise.all(last.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'close')));

    const heir = await acquireDirectory({ directory: root, fileSystem: nodeFileSystem, clock: systemClock });
    expect(heir.path).toBe(root);
    await heir.release();
    const names = await readdir(root);
    const found = await Promise.all(
      names.filter((name) => SEGMENT_NAME.test(name)).map((name) => readFile(join(root, name), 'utf8')),
    );
    expect(violations).toEqual([]);
    const whole = found.filter((segment) => segment !== '');
    expect(new Set(whole).size).toBe(whole.length);
    expect(written.filter((segment) => !whole.includes(segment))).toEqual([]);
    expect(names.filter((name) => !SEGMENT_NAME.test(name))).toEqual(['lock']);
  } finally {
    for (const child of living) child.kill('SIGKILL');
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
});
