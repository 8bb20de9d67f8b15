import { describe, inject, it, type ProvidedContext } from 'vitest';

/** What `global-setup.mjs` found: the program to run, or why there is none. */
export type Peer =
  | { readonly binary: string; readonly missing?: undefined }
  | { readonly binary?: undefined; readonly missing: string };

declare module 'vitest' {
  interface ProvidedContext {
    collector: Peer;
    otlpDecoder: Peer;
    s3: Peer;
  }
}

/**
 * `describe` for tests that need a peer. Without it they are skipped, and say why; with `PEERS=required` that is a
 * failure.
 */
export function describeWithPeer(name: keyof ProvidedContext, title: string, tests: (binary: string) => void): void {
  const { binary, missing } = inject(name);
  if (binary !== undefined) describe(title, () => tests(binary));
  else if (process.env.PEERS === 'required') {
    it(`${title}: needs the ${name}`, () => {
      throw new Error(`PEERS=required, and there is no ${name}: ${missing}`);
    });
  } else it.skip(`${title}: skipped, there is no ${name}: ${missing}`, () => {});
}
