import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** A TypeScript file of this repository with all that it imports, as one module that node runs: for tests that need processes. */
export async function bundle(entry: URL): Promise<string> {
  // As vitest has it: it is no dependency of ours.
  const { resolve } = createRequire(createRequire(import.meta.url).resolve('vitest/package.json'));
  const { build } = await import(pathToFileURL(resolve('vite')).href);
  const { output } = await build({
    root: fileURLToPath(new URL('../..', import.meta.url)),
    configFile: false,
    logLevel: 'silent',
    resolve: { tsconfigPaths: true },
    ssr: { noExternal: true },
    build: {
      ssr: fileURLToPath(entry),
      write: false,
      minify: false,
      target: 'node20',
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
  return output[0].code;
}
