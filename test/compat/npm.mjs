import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** npm's own script, so that it can be run by the Node of a matrix. */
const NPM_CLI = [
  process.env.npm_execpath,
  join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js'),
  join(dirname(process.execPath), 'node_modules/npm/bin/npm-cli.js'),
].find((path) => path?.endsWith('npm-cli.js') && existsSync(path));

/** Runs npm in a folder; `output` is all it said, on either stream. Rejects when it fails. */
export async function npm(args, { cwd, node = process.execPath }) {
  if (!NPM_CLI) throw new Error('npm was not found beside Node: run this as `npm run test:compat`');
  const { code, stdout, stderr } = await run(node, [NPM_CLI, ...args], { cwd });
  if (code !== 0) throw new Error(`npm ${args.join(' ')} in ${cwd} ended with ${code}:\n${stdout}${stderr}`);
  return { stdout, output: stdout + stderr };
}

export const install = (folder, specs, node) =>
  npm(['install', '--save-exact', '--no-audit', '--no-fund', '--prefer-offline', ...specs], { cwd: folder, node });

/** Runs a program to its end; `onLine` sees its standard output as it comes. */
export function run(command, args, { cwd, env = process.env, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: withoutLifecycle(env), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk;
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      if (onLine) lines.forEach(onLine);
    });
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, stdout, stderr }));
  });
}

/** What `npm run` tells its scripts would tell the inner npm that it belongs to this workspace. */
function withoutLifecycle(env) {
  const belongsToRun = /^(npm_(package|lifecycle|command|config_local_prefix)|INIT_CWD$|NODE_OPTIONS$)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !belongsToRun.test(name)));
}
