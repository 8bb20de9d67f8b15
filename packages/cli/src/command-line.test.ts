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
  ])('%j helps', async (args) => {
    const { exitCode, stdout } = await run(args);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('USAGE');
  });
});
