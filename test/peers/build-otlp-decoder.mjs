import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureProgram, goBuild } from './go-toolchain.mjs';

const folder = join(dirname(fileURLToPath(import.meta.url)), 'otlp-decoder');
const files = ['main.go', 'go.mod', 'go.sum'];
const sources = files.map((file) => join(folder, file));

/**
 * Builds the program of `otlp-decoder/`, once, into `.cache/otlp-decoder/<hash of its sources>/`. Returns `{ binary }`,
 * or `{ missing: why }` when there is none and none can be built here.
 */
export function ensureOtlpDecoder(say) {
  return ensureProgram({ name: 'otlp-decoder', program: 'otlp-decoder', sources, build, say });
}

// From a copy: with -mod=mod Go may write to go.mod.
async function build({ folder: copy, target }) {
  for (const [index, file] of files.entries()) cpSync(sources[index], join(copy, file));
  await goBuild(target, { cwd: copy });
}
