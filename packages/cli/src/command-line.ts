import { DiagLogLevel, diag } from '@opentelemetry/api';
import { run } from '@stricli/core';
import { application } from './application.js';
import type { Context } from './command.js';
import { EXIT, type ExitCode } from './exit-code.js';
import { Terminal } from './terminal.js';

/** Runs what the arguments ask for, and resolves to the exit code. */
export async function runCommandLine(
  args: readonly string[],
  { stdout, stderr, env }: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'env'>,
): Promise<ExitCode> {
  const terminal = new Terminal(stdout, stderr);
  const complaints: string[] = [];
  // What the parser complains of is kept, without colours, so that it can be repeated as JSON.
  const streams = { stdout, stderr: { write: (text: string) => void complaints.push(text) } };
  const parser: { exitCode?: number | string | null } = {};
  let exitCode: ExitCode | undefined;
  const context: Context & { process: object } = {
    process: Object.assign(parser, { ...streams, env }),
    terminal,
    exit: (code) => {
      exitCode = code;
    },
  };
  diag.setLogger(terminal.logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  await run(application, args, context);
  diag.disable();
  const message = complaints.join('').trim();
  if (message) terminal.complain(message);
  if (exitCode !== undefined) return exitCode;
  if (!parser.exitCode) return EXIT.fine;
  const remedy = 'See otel-resilience --help.';
  if (!message.includes('--help')) terminal.note(remedy);
  if (args.includes('--json')) terminal.print(JSON.stringify({ exitCode: EXIT.usage, error: { message, remedy } }));
  return EXIT.usage;
}
