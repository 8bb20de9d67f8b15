import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { CountingReceiver } from '@otel-resilience/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { resilience } from './resilience.js';
import type { ResilienceOptions } from './resilience-options.js';

const closing: Array<() => unknown> = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0).reverse()) await close();
});

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-resilience-node-'));
  closing.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** An application that runs and ends. */
function start(url: string, spool: ResilienceOptions['spool']) {
  const r = resilience({ endpoints: [{ url, protocol: 'http/protobuf' }], transport: 'otlp', spool });
  const provider = new BasicTracerProvider({ sampler: r.sdk.sampler, spanProcessors: r.sdk.spanProcessors });
  closing.push(() => provider.shutdown());
  const end = (count: number) => {
    for (let i = 0; i < count; i++) provider.getTracer('test').startSpan(`span ${i}`).end();
  };
  return { r, provider, end };
}

async function refusing(): Promise<string> {
  const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
  const url = await receiver.start();
  await receiver.stop();
  return url;
}

async function collector(): Promise<CountingReceiver> {
  const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
  await receiver.start();
  closing.push(() => receiver.stop());
  return receiver;
}

describe('resilience({ spool: { directory } })', () => {
  it('keeps what no collector takes beyond the process, and the next one sends it before it has any span', async () => {
    const directory = join(scratch(), 'deep', 'spool');
    const before = start(await refusing(), { directory });
    before.end(250);
    await before.provider.shutdown();
    expect(before.r.status()).toMatchObject({ balanced: true, totals: { ended: 250, waiting: 250, dropped: {} } });
    expect(statSync(directory).mode & 0o777).toBe(0o700);

    const receiver = await collector();
    const { r } = start(receiver.url, { directory });
    await vi.waitFor(() => expect(receiver.spanIds.size).toBe(250), { timeout: 5_000 });
    await vi.waitFor(() => expect(r.status().totals).toMatchObject({ waiting: 0 }));
    expect(r.status()).toMatchObject({
      balanced: true,
      totals: { ended: 0, recovered: 250, delivered: 250, dropped: {} },
      spool: { mode: 'disk', directory },
    });
  });

  it('says how many spans one that was killed has lost at most, and nothing of one that was shut down', async () => {
    const directory = join(scratch(), 'spool');
    const receiver = await collector();
    receiver.respond(() => ({ kind: 'error', status: 503 }));
    const before = start(receiver.url, { directory });
    before.end(120);
    const [name] = readdirSync(directory).filter((each) => each.startsWith('checkpoint-')) as [string];
    const atItsDeath = readFileSync(join(directory, name));
    receiver.respond(() => ({ kind: 'success' }));
    await before.provider.shutdown();
    expect(readdirSync(directory).filter((each) => each.startsWith('checkpoint-'))).toEqual([]);
    expect(start(receiver.url, { directory }).r.status().lostToCrash).toBeUndefined();

    // As if there had been a process with a pid that is nobody's.
    writeFileSync(join(directory, name.replace(/^checkpoint-\d+/, 'checkpoint-4194305')), atItsDeath);
    const { lostToCrash } = start(receiver.url, { directory }).r.status();
    expect(lostToCrash).toMatchObject({ processes: 1 });
    expect(lostToCrash!.atMost).toBeGreaterThanOrEqual(120);
    expect(lostToCrash!.atMost).toBeLessThan(1_000);
  });

  it('touches nothing when the SDK is disabled', () => {
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    const directory = scratch();
    start('http://localhost:4318', { directory: join(directory, 'spool') });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('waits in memory where the directory cannot be used, and says so', async () => {
    const file = join(scratch(), 'file');
    writeFileSync(file, '');
    const receiver = await collector();
    receiver.respond(() => ({ kind: 'error', status: 503 }));
    const { r, end } = start(receiver.url, { directory: file });
    end(10);
    const flushed = r.forceFlush({ timeoutMillis: 10_000 });
    const waiting = { spool: { mode: 'memory', spansInMemory: 10 }, totals: { waiting: 10 } };
    await vi.waitFor(() => expect(r.status()).toMatchObject(waiting), { timeout: 5_000 });
    expect(r.status().spool?.error).toMatch(/EEXIST|ENOTDIR/);
    receiver.respond(() => ({ kind: 'success' }));
    await flushed;
    expect(receiver.spanIds.size).toBe(10);
  });

  it('throws at once where it cannot be used and is required', () => {
    const file = join(scratch(), 'file');
    writeFileSync(file, '');
    const spool = { directory: file, required: true };
    expect(() => resilience({ endpoints: ['http://localhost:4318'], spool })).toThrow(
      `resilience.spool.directory: expected a directory that can be written to (required is set): EEXIST`,
    );
  });

  it.each([
    [{ directory: '' }, 'resilience.spool.directory'],
    [{ directory: '/tmp/x', maxBytes: 1 }, 'resilience.spool.maxBytes'],
    [{ directory: '/tmp/x', fsync: 'sometimes' }, 'resilience.spool.fsync'],
    [{ directory: '/tmp/x', fileSystem: {} }, 'resilience.spool.fileSystem'],
  ])('names the path of a wrong option: %j', (spool, path) => {
    expect(() => resilience({ spool: spool as never })).toThrow(path);
  });
});
