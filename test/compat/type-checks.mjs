import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { run } from './npm.mjs';

const require = createRequire(import.meta.url);
const COMMONJS = 'tsconfig.json';
const BOTH_FORMATS = 'tsconfig.both-formats.json';

/**
 * The TypeScript application and the type fixtures, with `skipLibCheck` off, as projects are set up. The first one
 * compiles the application that the suite runs.
 */
export const TYPE_CHECKS = [
  check('5.9', 'module commonjs, node10', COMMONJS, '--module commonjs --moduleResolution node10'),
  check('5.9', 'module node16', BOTH_FORMATS, '--module node16 --noEmit'),
  check('7.0', 'module node16', BOTH_FORMATS, '--module node16 --noEmit'),
  check('7.0', 'exactOptionalPropertyTypes', BOTH_FORMATS, '--module node16 --noEmit --exactOptionalPropertyTypes'),
  check('7.0', 'module commonjs, bundler', COMMONJS, '--module commonjs --moduleResolution bundler --noEmit'),
];

function check(typescript, settings, project, flags) {
  return {
    name: `TypeScript ${typescript}, ${settings}`,
    typescript,
    args: ['-p', project, '--listFiles', ...flags.split(' ')],
  };
}

/** Resolves with what is wrong, '' when nothing is. */
export async function checkTypes({ typescript, args }, { app, node, root }) {
  const home =
    typescript === '5.9'
      ? join(app, 'node_modules', 'typescript')
      : dirname(require.resolve('typescript/package.json'));
  const { code, stdout, stderr } = await run(node, [join(home, 'bin', 'tsc'), ...args], { cwd: app });
  const lines = stdout.split('\n');
  const isFile = (line) => /^(\/|[A-Za-z]:).*\.[cm]?[jt]s$/.test(line);
  // The compiler, too, would look for what is missing in the node_modules of this repository. (And for what Node has
  // itself: there is a `buffer` among what our tools install.)
  const stray = lines.filter((line) => isFile(line) && line.startsWith(join(root, 'node_modules')) && isOfOurs(line));
  if (code === 0 && stray.length === 0) return '';
  const complaints = lines.filter((line) => line && !isFile(line));
  return [...complaints, ...stray.map((file) => `from outside the application: ${file}`), stderr].join('\n').trim();
}

const isOfOurs = (file) => /[\\/]@(otel-resilience|opentelemetry)[\\/]/.test(file);
