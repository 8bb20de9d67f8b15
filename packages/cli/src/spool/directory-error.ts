import { CommandError, EXIT } from '../exit-code.js';

/** What the file system said of a directory, in words that name it and what to do. */
export function directoryError(directory: string, error: unknown): CommandError {
  const { code, message } = error as NodeJS.ErrnoException;
  const [what, remedy] = explanation(code, message);
  return new CommandError(EXIT.usage, `${directory}: ${what}`, remedy);
}

function explanation(code: string | undefined, message: string): [what: string, remedy: string] {
  switch (code) {
    case 'ENOENT':
      return ['there is no such directory', 'Give the one that the application has as directory of its spool.'];
    case 'ENOTDIR':
      return ['this is not a directory', 'Give the directory that the segments lie in, not one of them.'];
    case 'EACCES':
    case 'EPERM':
      return ['permission denied', 'Run it as the user that the application runs as.'];
    case 'EROFS':
      return ['the file system is read-only', 'Copy the directory to where it can be written to.'];
    default:
      return [message, 'Look at the directory and its disk.'];
  }
}

export const inUse = (directory: string, pid: number | undefined, isUnknown = false): CommandError => {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  const where = isUnknown ? ' of another machine or container' : '';
  return new CommandError(
    EXIT.inUse,
    `${directory}: in use by ${who}${where}`,
    'It sends what waits there itself, when it can. Stop it first, or look with: otel-resilience spool ls.',
  );
};
