import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReceiverSnapshot } from '@otel-resilience/testing';
import { bundle } from '../support/bundle.js';
import type { BacklogJob } from './make-backlog.js';
import type { ReplayFigures, ReplayJob } from './replaying-application.js';

export interface Replayed extends ReplayFigures {
  readonly backlog: { readonly spans: number; readonly bytes: number; readonly segments: number };
  readonly received: ReceiverSnapshot;
}

export interface CampaignOptions {
  readonly bytes: number;
  readonly replaySpansPerSecond: number;
  readonly liveSpansPerSecond: number;
}

/**
 * A process fills a spool and is killed, a second one opens and replays it while live spans flow, into a third one that
 * counts. All of them new for each measurement.
 */
export async function measureReplay(options: CampaignOptions): Promise<Replayed> {
  const { bytes, replaySpansPerSecond, liveSpansPerSecond } = options;
  const scratch = await mkdtemp(join(process.env.SPOOL_BACKLOG_DIRECTORY ?? tmpdir(), 'otel-resilience-backlog-'));
  const script = join(scratch, 'load-process.mjs');
  const directory = join(scratch, 'spool');
  const children: ChildProcess[] = [];
  const start = <Job>(role: string, job: Job): ChildProcess => {
    const child = spawn(process.execPath, [script, role, JSON.stringify(job)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {},
    });
    children.push(child);
    return child;
  };
  try {
    await writeFile(script, await bundle(new URL('./load-process.ts', import.meta.url)));
    const maker = start<BacklogJob>('makeBacklog', { directory, bytes });
    const backlog = await said<Replayed['backlog']>(maker);
    maker.kill('SIGKILL');
    await once(maker, 'exit');
    const receiver = start('receive', {});
    const { url } = await said<{ url: string }>(receiver);
    const job = { directory, bytes, url, replaySpansPerSecond, liveSpansPerSecond };
    const figures = await said<ReplayFigures>(start<ReplayJob>('replay', job));
    const answer = said<ReceiverSnapshot>(receiver);
    receiver.send('how much?');
    return { ...figures, backlog, received: await answer };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The next message of a process. */
function said<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null) => reject(new Error(`ended: ${signal ?? code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as T);
    });
  });
}
