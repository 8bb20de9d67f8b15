// node test/peers/ensure-moto.mjs
//
// Installs moto, a server that speaks S3, into a Python environment of its own: once, into
// `.cache/moto/<hash of s3/requirements.txt>/`, and prints the path of its Python. Needs Python 3.10 or later with venv,
// and a package index for pip. `python -m moto.server` starts it.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const requirements = join(here, 's3/requirements.txt');
const python = process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python';

/** Returns `{ binary }`, the Python that has moto, or `{ missing: why }` when there is none and none can be made here. */
export async function ensureMoto(say = console.error) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`).update(readFileSync(requirements));
  const folder = join(root, '.cache/moto', hash.digest('hex').slice(0, 16));
  const binary = join(folder, python);
  if (existsSync(binary)) return { binary };

  const draft = `${folder}.${process.pid}`;
  say(`s3: there is no moto yet; installing it in ${relative(root, folder)}`);
  try {
    mkdirSync(dirname(folder), { recursive: true });
    await run('python3', ['-m', 'venv', draft]);
    await run(join(draft, python), ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
    await run(join(draft, python), ['-c', 'import moto.server']);
    renameSync(draft, folder);
    return { binary };
  } catch (error) {
    return { missing: firstLine(error) };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

const run = promisify(execFile);

function firstLine({ code, stderr, message }) {
  if (code === 'ENOENT') return 'no Python: `python3` was not found';
  const lines = (stderr || message).trim().split('\n');
  return `moto could not be installed: ${lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { binary, missing } = await ensureMoto();
  if (binary) console.log(binary);
  else console.error(`s3: ${missing}`);
  process.exitCode = binary ? 0 : 1;
}
