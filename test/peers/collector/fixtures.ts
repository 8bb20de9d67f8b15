import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CollectorSettings } from './collector-config.js';
import { CollectorProcess, freePort } from './collector-process.js';

/**
 * Starts Collectors for the tests of a file. Whatever a test leaves behind is killed and removed after it: not by
 * `afterEach`, which is left out when another one before it fails.
 */
export function useCollectors(binary: string): (settings?: CollectorSettings) => Promise<CollectorProcess> {
  return async (settings) => {
    const folder = mkdtempSync(join(tmpdir(), 'otel-resilience-collector-'));
    const collector = new CollectorProcess(binary, folder, [await freePort(), await freePort()]);
    const kill = () => collector.signal('SIGKILL');
    process.once('exit', kill);
    onTestFinished(async () => {
      await kill();
      process.off('exit', kill);
      rmSync(folder, { recursive: true, force: true });
    });
    await collector.start(settings);
    return collector;
  };
}
