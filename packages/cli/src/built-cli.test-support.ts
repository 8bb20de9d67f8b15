import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Run {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of stdout, parsed. */
  json(): Record<string, unknown>;
}

export interface RunningCli extends Promise<Run> {
  readonly child: ChildProcess;
  /** Resolves when stderr has said so. */
  said(text: string): Promise<void>;
}

/** The program, bundled from the sources as they are now, so that no test runs what was built yesterday. */
export class BuiltCli {
  private readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async build(): Promise<BuiltCli> {
    // Within the workspace, so that its dependencies are found.
    await mkdir(join(ROOT, '.cache'), { recursive: true });
    const folder = await mkdtemp(join(ROOT, '.cache', 'cli-'));
    await build({
      root: ROOT,
      configFile: false,
      logLevel: 'error',
      resolve: { tsconfigPaths: true },
      ssr: { noExternal: [/^@otel-resilience\//] },
      build: {
        ssr: join(ROOT, 'packages/cli/src/main.ts'),
        outDir: folder,
        emptyOutDir: false,
        rolldownOptions: { output: { entryFileNames: 'main.mjs', chunkFileNames: '[name]-[hash].mjs' } },
      },
    });
    return new BuiltCli(folder);
  }

  /** The same, where it finds what it depends on and no more. */
  async withoutAwsSdk(): Promise<BuiltCli> {
    const folder = await mkdtemp(join(tmpdir(), 'otel-resilience-cli-'));
    await cp(this.folder, folder, { recursive: true });
    for (const name of ['@opentelemetry/api', '@stricli/core', 'cli-progress', 'console-table-printer']) {
      const link = join(folder, 'node_modules', name);
      await mkdir(dirname(link), { recursive: true });
      await symlink(join(ROOT, 'node_modules', name), link);
    }
    return new BuiltCli(folder);
  }

  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCli {
    const child = spawn(process.execPath, [join(this.folder, 'main.mjs'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...withoutOtel(process.env), NO_COLOR: '1', ...env },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = new Promise<Run>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (exitCode) => {
        const json = () => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
        resolve({ exitCode, stdout, stderr, json });
      });
    });
    const said = (text: string) =>
      new Promise<void>((resolve, reject) => {
        const look = () => stderr.includes(text) && resolve();
        child.stderr.on('data', look);
        child.on('close', () => reject(new Error(`ended without saying ${text}: ${stderr}`)));
        look();
      });
    return Object.assign(ended, { child, said });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

const withoutOtel = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OTEL_')));
