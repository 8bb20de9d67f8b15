import type { CommandContext } from '@stricli/core';
import { CommandError, EXIT, type ExitCode } from './exit-code.js';
import { printable } from './format.js';
import type { Terminal } from './terminal.js';

export interface Context extends CommandContext {
  readonly terminal: Terminal;
  /** Told once, by the command that ran. */
  exit(code: ExitCode): void;
}

export interface CommandResult {
  readonly exitCode: ExitCode;
  /** For people. */
  readonly text: string;
  /** For programs: README.md has the names. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Runs a command and shows what came of it, as text or as one line of JSON. */
export async function present(
  context: Context,
  name: string,
  { json }: { readonly json: boolean },
  run: () => Promise<CommandResult>,
): Promise<void> {
  const { terminal } = context;
  // Timers of the pipeline and of stores that wait do not keep a process alive.
  const alive = setInterval(() => {}, 3_600_000);
  try {
    const result = await run();
    terminal.print(json ? JSON.stringify({ command: name, exitCode: result.exitCode, ...result.json }) : result.text);
    context.exit(result.exitCode);
  } catch (error) {
    const failure = error instanceof CommandError ? error : unexpected(error);
    const { exitCode, message, remedy } = failure;
    terminal.complain(`${printable(message)}\n${printable(remedy)}`);
    if (json) terminal.print(JSON.stringify({ command: name, exitCode, error: { message, remedy } }));
    context.exit(exitCode);
  } finally {
    clearInterval(alive);
  }
}

function unexpected(error: unknown): CommandError {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const remedy = 'This should not have happened: please report it, with OTEL_RESILIENCE_DEBUG=1 set for the stack.';
  if (process.env.OTEL_RESILIENCE_DEBUG) console.error(error);
  return new CommandError(EXIT.incomplete, message, remedy);
}
