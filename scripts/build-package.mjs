// Builds one package, twice from one source: dist/esm and dist/cjs. Run by every package's `build` script, in its folder.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const tsc = join(dirname(typescript), 'bin', 'tsc');

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist/cjs', { recursive: true });
copyFileSync('../../LICENSE', 'LICENSE'); // npm packs the one beside package.json only
writeFileSync('dist/cjs/package.json', '{"type":"commonjs"}\n');

const pass = (project) =>
  new Promise((resolve) => {
    spawn(process.execPath, [tsc, '-p', project], { stdio: 'inherit' }).on('exit', (code) => resolve(code ?? 1));
  });

const codes = await Promise.all([pass('tsconfig.build.json'), pass('tsconfig.cjs.json')]);
process.exitCode = Math.max(...codes);
