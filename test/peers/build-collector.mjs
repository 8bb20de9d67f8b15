// node test/peers/build-collector.mjs
//
// Builds the OpenTelemetry Collector of `collector/manifest.yaml` with the Collector's own builder, once, into
// `.cache/collector/<hash of the manifest>/otelcol`, and prints that path. Needs Go and a Go module proxy; uses Node's
// own modules only. The first build takes minutes: it runs at a low priority and says how far it is.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = dirname(fileURLToPath(import.meta.url));
const root = join(source, '../..');
const manifest = join(source, 'collector/manifest.yaml');
const PROGRESS_INTERVAL_MILLIS = 10_000;

/** Returns `{ binary }`, or `{ missing: why }` when there is none and none can be built here. */
export async function ensureCollector(say = console.error) {
  const binary = join(root, '.cache/collector', hashOf(manifest), executable('otelcol'));
  if (existsSync(binary)) return { binary };
  try {
    await build(binary, say);
    return { binary };
  } catch (error) {
    return { missing: error.message };
  }
}

async function build(binary, say) {
  const startedAt = performance.now();
  const seconds = () => `${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)} s`;
  const tell = (line) => say(`collector: ${seconds()}  ${line}`);

  const version = await run('go', ['env', 'GOVERSION'], { cwd: source });
  const builder = `go.opentelemetry.io/collector/cmd/builder@v${builderVersion()}`;
  const folder = `${dirname(binary)}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  try {
    copyFileSync(manifest, join(folder, 'manifest.yaml'));
    tell(`there is none yet; building it with ${version.trim()} in ${relative(root, folder)}`);
    tell(`fetching modules, beginning with ${builder}`);
    await run('go', ['run', builder, '--config', 'manifest.yaml', '--skip-compilation'], { cwd: folder });

    const sources = join(folder, 'build');
    const packages = (await run('go', ['list', '-deps', '.'], { cwd: sources })).trim().split('\n').length;
    tell(`compiling ${packages} packages; those that Go has compiled before are not counted`);
    let compiled = 0;
    const progress = setInterval(() => tell(`compiled ${compiled} of ${packages}`), PROGRESS_INTERVAL_MILLIS);
    const onLine = () => compiled++; // -v names each package as it is compiled
    const target = join(folder, executable('otelcol'));
    await run('go', ['build', '-v', '-trimpath', '-ldflags', '-s -w', '-o', target, '.'], {
      cwd: sources,
      onLine,
    }).finally(() => clearInterval(progress));

    mkdirSync(dirname(binary), { recursive: true });
    renameSync(target, binary);
    tell(`built ${relative(root, binary)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end at a low priority, since others may want to work meanwhile. Resolves with its stdout. */
function run(command, args, { cwd, onLine }) {
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

/** No checksum database: where modules come from a mirror it is often out of reach. What is set stands. */
function goEnvironment() {
  const { GOSUMDB = 'off', GOFLAGS = '' } = process.env;
  return { ...process.env, GOSUMDB, GOFLAGS: `${GOFLAGS} -mod=mod -buildvcs=false`.trim(), GOWORK: 'off' };
}

function builderVersion() {
  return readFileSync(manifest, 'utf8').match(/^ {2}version: (\S+)$/m)[1];
}

function hashOf(file) {
  const { platform, arch } = process;
  return createHash('sha256').update(`${platform} ${arch}`).update(readFileSync(file)).digest('hex').slice(0, 16);
}

const executable = (name) => (process.platform === 'win32' ? `${name}.exe` : name);
const lastLines = (text) => text.trim().split('\n').slice(-5).join('\n');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { binary, missing } = await ensureCollector();
  if (binary) console.log(binary);
  else console.error(`collector: ${missing}`);
  process.exitCode = binary ? 0 : 1;
}
