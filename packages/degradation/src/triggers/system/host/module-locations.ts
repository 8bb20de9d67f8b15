import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Directories from which a dependency of this package can be found, the most likely first: our own file's, then that of
 * the program and the working directory, for bundles that were moved away from their `node_modules`.
 *
 * Our own file is known to CommonJS as `__filename`, and to an ES module that must compile as CommonJS too only through
 * the stack.
 */
export function moduleLocations(): string[] {
  const own = typeof __filename === 'string' ? __filename : undefined;
  const files = [own, fileOfStack(new Error().stack), process.argv[1]];
  const directories = files.filter((file) => file !== undefined).map((file) => dirname(file));
  return [...new Set([...directories, process.cwd()])];
}

/** The file of the topmost frame: `at f (file:///app/x.js:1:2)`, `at /app/x.js:1:2`. */
export function fileOfStack(stack: string | undefined): string | undefined {
  const frame = stack?.split('\n').find((line) => /^\s+at /.test(line)) ?? '';
  const [, location] = /(?:\(|at (?:async )?)([^()]+?):\d+:\d+\)?$/.exec(frame) ?? [];
  if (location === undefined) return undefined;
  try {
    return location.startsWith('file:') ? fileURLToPath(location) : location;
  } catch {
    return undefined;
  }
}
