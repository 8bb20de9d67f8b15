import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from './command-line.js';

const SECRET = 'Bearer 5f2d1c';

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

/** Without a process: nothing gets as far as a directory. */
async function run(args: readonly string[]) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const streams = { stdout, stderr, env: {} } as unknown as Parameters<typeof runCommandLine>[1];
  const exitCode = await runCommandLine(args, streams);
  return { exitCode, stdout: stdout.text, stderr: stderr.text, json: () => JSON.parse(stdout.text) };
}

describe('wrong arguments', () => {
  it.each([
    [['spool', 'ls'], '<directory> is missing'],
    [['spool', 'ls', 'a', 'b'], 'too many arguments'],
    [['spool', 'lss', 'a'], 'did you mean'],
    [['spool', 'replay', 'a'], '--endpoint: a value is missing'],
    [['spool', 'replay', 'a', '--endpoint', 'collector:4317'], '--endpoint: expected'],
    [['spool', 'replay', 'a', '--endpoint', `http://u:${SECRET}@h`], '--endpoint: expected'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--rate', '0'], '--rate: expected a number above 0'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--limit', '1.5'], '--limit: expected a whole number'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--order', 'random'], '--order: expected oldest or newest'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--protocol', 'http/json'], '--protocol: expected grpc'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--header', SECRET], '--header: expected name=value'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--header', `te=${SECRET}`], '--header: expected'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', '--haeder', `a=${SECRET}`], 'did you mean --header'],
    [['spool', 'replay', 'a', '--endpoint', 'http://h', SECRET], 'too many arguments'],
    [['tiers', 'ls'], '<warm> is missing'],
    [['tiers', 'ls', 'gs://bucket'], '<warm>: expected a directory, or s3://bucket/prefix'],
    [['tiers', 'ls', `s3://key:${SECRET}@bucket`], 'expected a directory, or s3://bucket/prefix'],
    [['tiers', 'ls', 'a', '--by', 'month'], '--by: expected day or hour or service'],
    [['tiers', 'ls', 'a', '--s3-endpoint', `http://key:${SECRET}@h`], '--s3-endpoint: expected'],
    [['tiers', 'ls', 'a', '--s3-region', SECRET], '--s3-region: expected a region'],
    [['tiers', 'migrate', 'a', 'b'], 'too many arguments'],
    [['tiers', 'migrate', 'a', '--cold-after', '30'], '--cold-after: expected a duration such as 30d'],
    [['tiers', 'migrate', 'a', '--cold-class', 'ICE'], '--cold-class: expected one of STANDARD,'],
    [['tiers', 'rehydrate', '--endpoint', 'http://h'], '<location> is missing'],
    [['tiers', 'rehydrate', 'a'], '--endpoint: a value is missing'],
    [['tiers', 'rehydrate', 'a', '--endpoint', 'http://h', '--from', 'noon'], '--from: expected a time'],
    [
      ['tiers', 'rehydrate', 'a', '--endpoint', 'http://h', '--from', '1h', '--to', '2h'],
      '--to: expected a time after',
    ],
    [['tiers', 'rehydrate', 'a', '--endpoint', 'http://h', '--trace-id', SECRET], '--trace-id: expected 32 hex'],
    [['tiers', 'rehydrate', 'a', '--endpoint', 'http://h', '--restore-tier', 'now'], 'expected Expedited or'],
  ])('%j: 2, with a sentence and without what was typed', async (args, message) => {
    const { exitCode, stdout, stderr } = await run(args);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/5f2d1c|\n +at /);
  });

  it('are said to programs as well', async () => {
    const { exitCode, json } = await run(['spool', 'ls', '--json']);
    expect(exitCode).toBe(2);
    expect(json()).toEqual({
      exitCode: 2,
      error: { message: '<directory> is missing', remedy: 'See otel-resilience --help.' },
    });
  });

  it.each([
    [['--help']],
    [['spool', '--help']],
    [['spool', 'ls', '--help']],
    [['spool', 'fsck', '--help']],
    [['spool', 'replay', '--help']],
    [['tiers', '--help']],
    [['tiers', 'ls', '--help']],
    [['tiers', 'migrate', '--help']],
    [['tiers', 'rehydrate', '--help']],
  ])('%j helps', async (args) => {
    const { exitCode, stdout } = await run(args);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('USAGE');
  });
});
