// node test/peers/build-collector.mjs
//
// Builds the OpenTelemetry Collector of `collector/manifest.yaml` with the Collector's own builder, once, into
// `.cache/collector/<hash of the manifest>/otelcol`, and prints that path. Needs Go and a Go module proxy; uses Node's
// own modules only. The first build takes minutes: it runs at a low priority and says how far it is.
import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureProgram, goBuild, run } from './go-toolchain.mjs';

const manifest = join(dirname(fileURLToPath(import.meta.url)), 'collector/manifest.yaml');
const PROGRESS_INTERVAL_MILLIS = 10_000;

/** Returns `{ binary }`, or `{ missing: why }` when there is none and none can be built here. */
export function ensureCollector(say) {
  return ensureProgram({ name: 'collector', program: 'otelcol', sources: [manifest], build, say });
}

async function build({ folder, target, tell }) {
  const builder = `go.opentelemetry.io/collector/cmd/builder@v${builderVersion()}`;
  copyFileSync(manifest, join(folder, 'manifest.yaml'));
  tell(`fetching modules, beginning with ${builder}`);
  await run('go', ['run', builder, '--config', 'manifest.yaml', '--skip-compilation'], { cwd: folder });

  const sources = join(folder, 'build');
  const packages = (await run('go', ['list', '-deps', '.'], { cwd: sources })).trim().split('\n').length;
  tell(`compiling ${packages} packages; those that Go has compiled before are not counted`);
  let compiled = 0;
  const progress = setInterval(() => tell(`compiled ${compiled} of ${packages}`), PROGRESS_INTERVAL_MILLIS);
  const onLine = () => compiled++; // -v names each package as it is compiled
  await goBuild(target, { cwd: sources, flags: ['-v'], onLine }).finally(() => clearInterval(progress));
}

function builderVersion() {
  return readFileSync(manifest, 'utf8').match(/^ {2}version: (\S+)$/m)[1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { binary, missing } = await ensureCollector();
  if (binary) console.log(binary);
  else console.error(`collector: ${missing}`);
  process.exitCode = binary ? 0 : 1;
}
