// npm run bench -- NAME [--json]
//
// A bench is a module with `export async function run({ log })` that returns `{ metrics, spread }`; it imports the
// built packages by name, as a user does. `log` writes to stderr, so that stdout ends with the result.
import { machine } from './harness.mjs';

const BENCHES = {
  breaker: () => import('./breaker.mjs'),
  processor: () => import('./processor.mjs'),
  sampler: () => import('./sampler.mjs'),
};

const [name, ...flags] = process.argv.slice(2);
const load = Object.hasOwn(BENCHES, name ?? '') ? BENCHES[name] : undefined;
if (!load || flags.some((flag) => flag !== '--json')) {
  console.error(`usage: npm run bench -- NAME [--json]\nNAME: ${Object.keys(BENCHES).join(' ')}`);
  process.exit(2);
}

const { run } = await load();
const { metrics, spread } = await run({ log: (line) => console.error(line) });
if (flags.includes('--json')) console.log(JSON.stringify({ bench: name, metrics, spread, machine: machine() }));
else console.table(rows(metrics, spread));

function rows(metrics, spread) {
  return Object.fromEntries(
    Object.entries(metrics).map(([metric, value]) => {
      const { lower90, upper90 } = spread[metric] ?? {};
      return [metric, { value, 'lower 90 %': lower90, 'upper 90 %': upper90 }];
    }),
  );
}
