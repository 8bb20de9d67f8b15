// Makes `npm start` and `npm test` work on a fresh clone: installs (and with --build, builds) what is missing or stale.
// Uses Node's own modules only. Silent when there is nothing to do; stamps only after success.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const workspaces = ['packages', 'examples'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .map((name) => `${folder}/${name}`)
    .filter((workspace) => existsSync(join(root, workspace, 'package.json'))),
);

checkNodeVersion();
ensure('install', installInputs(), 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
if (process.argv.includes('--build')) {
  ensure('build', buildInputs(), process.execPath, [
    join(root, 'node_modules', 'turbo', 'bin', 'turbo'),
    'run',
    'build',
    '--output-logs=errors-only',
  ]);
}

function checkNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)) return;
  console.error(`otel-resilience needs Node ^20.19 or >=22.12; this is ${process.version}`);
  process.exit(1);
}

function ensure(step, inputs, command, args) {
  const stamp = join(root, 'node_modules', `.otel-resilience-${step}`);
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of inputs) hash.update(file).update(readFileSync(join(root, file)));
  const wanted = hash.digest('hex');
  const built = step !== 'build' || workspaces.filter(hasBuild).every((name) => existsSync(join(root, name, 'dist')));
  if (built && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;

  console.error(`${step}: ${[command === process.execPath ? 'turbo' : command, ...args.slice(-3)].join(' ')}`);
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2], // stdout belongs to the program that follows (`--json`)
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

function hasBuild(workspace) {
  return 'build' in (JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8')).scripts ?? {});
}

function installInputs() {
  return ['package.json', 'package-lock.json', ...workspaces.map((workspace) => `${workspace}/package.json`)];
}

function buildInputs() {
  const files = ['tsconfig.base.json', 'turbo.json', 'scripts/build-package.mjs', ...installInputs()];
  for (const workspace of workspaces.filter(hasBuild)) {
    for (const config of ['', '.build', '.cjs']) files.push(`${workspace}/tsconfig${config}.json`);
    collect(`${workspace}/src`, files);
  }
  return files.filter((file) => existsSync(join(root, file)));
}

function collect(folder, files) {
  for (const entry of readdirSync(join(root, folder)).sort()) {
    const path = `${folder}/${entry}`;
    if (statSync(join(root, path)).isDirectory()) collect(path, files);
    else if (!entry.endsWith('.test.ts')) files.push(path);
  }
}
