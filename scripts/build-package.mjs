// Builds one package, twice from one source: dist/esm and, but for a program, dist/cjs. Run by every package's `build`
// script, in its folder.
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const tsc = join(dirname(typescript), 'bin', 'tsc');

rmSync('dist', { recursive: true, force: true });
const projects = ['tsconfig.build.json', 'tsconfig.cjs.json'].filter((project) => existsSync(project));
copyFileSync('../../LICENSE', 'LICENSE'); // npm packs the one beside package.json only
if (projects.includes('tsconfig.cjs.json')) {
  mkdirSync('dist/cjs', { recursive: true });
  writeFileSync('dist/cjs/package.json', '{"type":"commonjs"}\n');
}

const pass = (project) =>
  new Promise((resolve) => {
    spawn(process.execPath, [tsc, '-p', project], { stdio: 'inherit' }).on('exit', (code) => resolve(code ?? 1));
  });

const codes = await Promise.all(projects.map(pass));
process.exitCode = Math.max(...codes);
