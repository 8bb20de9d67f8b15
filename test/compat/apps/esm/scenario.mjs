// node scenario.mjs NAME: the scenario with everything imported.
import { createRequire } from 'node:module';
import { PACKAGES } from '../packages.cjs';
import { report } from '../work.cjs';

const require = createRequire(import.meta.url);
const imported = await Promise.all(
  Object.entries(PACKAGES).map(async ([name, specifier]) => [name, await import(specifier)]),
);
const { run } = require(`../scenarios/${process.argv[2]}.cjs`);
await report(await run(Object.fromEntries(imported)));
