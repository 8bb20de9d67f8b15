import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { AppProcess, SCENARIO } from './app-process.mjs';
import { missing, openSite } from './site.mjs';

const manifest = createRequire(import.meta.url).resolve('@otel-resilience/cli/package.json');
const { bin, version } = createRequire(import.meta.url)(manifest);
const program = join(dirname(manifest), bin['otel-resilience']);

/** Runs the command by this matrix's Node, beside an application that is not there any more. */
const otelResilience = (...args) =>
  new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ exitCode: error ? error.code : 0, stdout, stderr });
    });
  });

const json = async (...args) => {
  const { exitCode, stdout, stderr } = await otelResilience(...args, '--json');
  assert.equal(exitCode, 0, stdout + stderr);
  return JSON.parse(stdout);
};

describe('otel-resilience', () => {
  it('says its version', async () => {
    assert.deepEqual(await otelResilience('--version'), { exitCode: 0, stdout: `${version}\n`, stderr: '' });
  });

  for (const [flavour, entry] of Object.entries(SCENARIO)) {
    it(`${flavour}: shows, checks and sends what an application has left on disk and in an archive`, async (t) => {
      const site = await openSite(t);
      const folder = await mkdtemp(join(tmpdir(), 'otel-resilience-compat-'));
      t.after(() => rm(folder, { recursive: true }));
      const [spool, archive] = [join(folder, 'spool'), join(folder, 'archive')];
      await site.proxy.refuse();
      const env = { ENDPOINTS: site.url, DIRECTORY: spool, ARCHIVE: archive, SPANS: '500' };
      const { sampledKeys } = await new AppProcess(entry, { args: ['disk-spool'], env }).end();
      assert.equal(sampledKeys.length, 500);

      assert.equal((await json('spool', 'ls', spool)).totals.spans, 500);
      const { clean, totals } = await json('spool', 'fsck', spool);
      assert.deepEqual({ clean, spans: totals.waiting.spans }, { clean: true, spans: 500 });
      const listed = await json('tiers', 'ls', archive, '--spans');
      assert.deepEqual(
        { spans: listed.totals.spans, withoutIndex: listed.totals.withoutIndex },
        { spans: 500, withoutIndex: 0 },
      );
      const planned = await json('tiers', 'migrate', archive, '--dry-run');
      assert.equal(planned.kept.warm.objects, listed.totals.objects);

      await site.proxy.heal();
      const { sent, left } = await json('spool', 'replay', spool, '--endpoint', site.url);
      assert.deepEqual({ sent, left }, { sent: 500, left: 0 });
      assert.equal(missing(sampledKeys, site), 0);
      const { spans } = await json('tiers', 'rehydrate', archive, '--endpoint', site.url);
      assert.equal(spans.sent, 500);
      assert.equal(site.receiver.receivedSpans, 1_000);
    });
  }
});
