// What the peers that are written in Go have in common: how they are built, and where they are kept.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * A program in `.cache/<name>/<hash of its sources>/`, built by `build` unless it is there. `build` gets a folder of its
 * own, which is removed afterwards, the path where it leaves the program, and `tell`, for what takes long.
 * Returns `{ binary }`, or `{ missing: why }` when there is none and none can be built here.
 */
export async function ensureProgram({ name, program, sources, build, say = console.error }) {
  const file = process.platform === 'win32' ? `${program}.exe` : program;
  const binary = join(root, '.cache', name, hashOf(sources), file);
  if (existsSync(binary)) return { binary };

  const startedAt = performance.now();
  const tell = (line) => {
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4);
    say(`${name}: ${seconds} s  ${line}`);
  };
  const folder = `${dirname(binary)}.${process.pid}`;
  const target = join(folder, file);
  mkdirSync(folder, { recursive: true });
  try {
    const version = await run('go', ['env', 'GOVERSION'], { cwd: folder });
    tell(`there is none yet; building it with ${version.trim()} in ${relative(root, folder)}`);
    await build({ folder, target, tell });
    mkdirSync(dirname(binary), { recursive: true });
    renameSync(target, binary);
    tell(`built ${relative(root, binary)}`);
    return { binary };
  } catch (error) {
    return { missing: error.message };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end at a low priority, since others may want to work meanwhile. Resolves with its stdout. */
export function run(command, args, { cwd, onLine }) {
  const line = process.platform === 'win32' ? [command, ...args] : ['nice', '-n', '15', command, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(line[0], line.slice(1), { cwd, env: goEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      if (onLine) for (const _ of text.matchAll(/\n/g)) onLine();
    });
    child.on('error', (error) => reject(new Error(`${command} could not be run: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else if (code === 127) reject(new Error(`no Go toolchain: \`${command}\` was not found`));
      else reject(new Error(`\`${command} ${args.join(' ')}\` ended with ${code ?? signal}: ${lastLines(stderr)}`));
    });
  });
}

/** Builds the program whose sources are in `cwd`. */
export function goBuild(target, { cwd, flags = [], onLine }) {
  return run('go', ['build', ...flags, '-trimpath', '-ldflags', '-s -w', '-o', target, '.'], { cwd, onLine });
}

/** No checksum database: where modules come from a mirror it is often out of reach. What is set stands. */
function goEnvironment() {
  const { GOSUMDB = 'off', GOFLAGS = '' } = process.env;
  return { ...process.env, GOSUMDB, GOFLAGS: `${GOFLAGS} -mod=mod -buildvcs=false`.trim(), GOWORK: 'off' };
}

function hashOf(files) {
  const { platform, arch } = process;
  const hash = createHash('sha256').update(`${platform} ${arch}`);
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

const lastLines = (text) => text.trim().split('\n').slice(-5).join('\n');
