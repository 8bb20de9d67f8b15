import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { CollectorSettings } from './collector-config.js';
import { CollectorProcess, freePort } from './collector-process.js';

/** Starts Collectors for the tests of a file. Whatever a test leaves behind is killed and removed after it. */
export function useCollectors(binary: string): (settings?: CollectorSettings) => Promise<CollectorProcess> {
  const opened: Array<{ collector: CollectorProcess; folder: string }> = [];
  const killAll = () => Promise.all(opened.map(({ collector }) => collector.signal('SIGKILL')));
  process.once('exit', killAll);

  afterEach(async () => {
    await killAll();
    for (const { folder } of opened.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  return async (settings) => {
    const folder = mkdtempSync(join(tmpdir(), 'otel-resilience-collector-'));
    const collector = new CollectorProcess(binary, folder, [await freePort(), await freePort()]);
    opened.push({ collector, folder });
    await collector.start(settings);
    return collector;
  };
}
