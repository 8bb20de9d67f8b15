// npm run bench -- NAME [--json]
//
// A bench is a module with `export async function run({ log, … })` that returns `{ metrics, spread, tables? }`, and the
// names of the options it takes beyond --json, if it takes any; it imports the built packages by name, as a user does.
// `log` writes to stderr, so that stdout ends with the result.
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { machine } from './harness.mjs';

const BENCHES = {
  app: () => import('./app.mjs'),
  breaker: () => import('./breaker.mjs'),
  encode: () => import('./encode.mjs'),
  flush: () => import('./flush.mjs'),
  layers: () => import('./layers.mjs'),
  outage: () => import('./outage.mjs'),
  pipeline: () => import('./pipeline.mjs'),
  processor: () => import('./processor.mjs'),
  sampler: () => import('./sampler.mjs'),
  spool: () => import('./spool.mjs'),
};
const BUSY = 0.25;
const USAGE = `usage: npm run bench -- NAME [--json]
NAME: ${Object.keys(BENCHES).join(' ')}
Some take more: --rounds N, --only a,b, --quick (to see that it works; its figures mean nothing)`;

const { name, json, ...options } = readArguments();
const bench = await BENCHES[name]();
for (const option of Object.keys(options)) {
  if (!bench.OPTIONS?.includes(option)) fail(`${name} has no --${option}`);
}

const load = loadavg()[0];
if (load > BUSY * cpus().length) console.error(`the machine is busy (load ${load.toFixed(1)}): figures will be noisy`);

const { metrics, spread, tables = {} } = await bench.run({ log: (line) => console.error(line), ...options });
const print = json ? console.error : console.log;
for (const [title, rows] of Object.entries(tables)) print(`\n${title}\n${table(rows)}`);
if (json) console.log(JSON.stringify({ bench: name, metrics, spread, machine: machine() }));
else console.table(rowsOf(metrics, spread));

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        only: { type: 'string' },
      },
    });
    const { rounds, only, ...flags } = values;
    if (positionals.length !== 1 || !Object.hasOwn(BENCHES, positionals[0])) fail('which bench?');
    if (rounds !== undefined && !(Number(rounds) >= 1)) fail('--rounds takes a number from 1');
    return {
      ...flags,
      name: positionals[0],
      ...(rounds !== undefined && { rounds: Math.floor(Number(rounds)) }),
      ...(only !== undefined && { only: only.split(',') }),
    };
  } catch (thrown) {
    return fail(thrown.message);
  }
}

function fail(message) {
  console.error(`${message}\n${USAGE}`);
  process.exit(2);
}

function rowsOf(metrics, spread) {
  return Object.fromEntries(
    Object.entries(metrics).map(([metric, value]) => {
      const { lower90, upper90 } = spread[metric] ?? {};
      return [metric, { value, 'lower 90 %': lower90, 'upper 90 %': upper90 }];
    }),
  );
}

/** As Markdown. */
function table(rows) {
  const columns = [...new Set(rows.flatMap(Object.keys))];
  const cells = [columns, columns.map(() => '---'), ...rows.map((row) => columns.map((column) => row[column] ?? ''))];
  return cells.map((line) => `| ${line.join(' | ')} |`).join('\n');
}
