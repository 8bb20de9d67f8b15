// npm run test:compat [-- --only sdk2|sdk3] [-- --json]
//
// A stranger's view: our packages as they would be published, installed from tarballs beside NodeSDK into folders of
// their own, on both majors of the SDK. An ES module, a CommonJS and a TypeScript application run through an outage,
// the environment variables and the scenarios of `apps/scenarios`; the types are checked both ways.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepare } from './installation.mjs';
import { MATRICES } from './matrices.mjs';
import { runSuite } from './suite-run.mjs';
import { costLine, summary, table } from './summary.mjs';
import { packOurs } from './tarballs.mjs';
import { checkTypes, TYPE_CHECKS } from './type-checks.mjs';

const source = dirname(fileURLToPath(import.meta.url));
const root = join(source, '../..');
const work = join(source, '.work');

const { json, only } = readArguments();
const startedAt = performance.now();
const print = json ? console.error : console.log;
const say = (key, line) => print(`${seconds(performance.now() - startedAt)}  ${key.padEnd(4)}  ${line}`);

const tarballs = await packOurs(root, join(work, 'tarballs'));
say('', 'packed');
const prepared = await Promise.all(
  only.map(async (key) => {
    const folder = join(work, key);
    const installation = await prepare(MATRICES[key], tarballs, { folder, source, say: (line) => say(key, line) });
    return { key, installation };
  }),
);
const runs = [];
for (const { key, installation } of prepared) runs.push(await runMatrix(key, installation));

const result = {
  ok: runs.every(({ results }) => results.every(({ ok }) => ok)),
  seconds: since(startedAt),
  matrices: summary(runs),
};
print(`\n${table(runs)}\n`);
for (const { key, cost } of runs) print(costLine(MATRICES[key].title, cost));
for (const { key, results } of runs) {
  for (const { part, name, error } of results.filter(({ ok }) => !ok)) print(`\n${key} ${part}: ${name}\n${error}`);
}
print(`\n${result.ok ? 'compatible' : 'NOT compatible'}, ${result.seconds} s`);
if (json) console.log(JSON.stringify(result));
process.exitCode = result.ok ? 0 : 1;

async function runMatrix(key, installation) {
  const matrix = MATRICES[key];
  const results = [];
  const add = (result) => {
    results.push(result);
    say(key, `${result.ok ? 'ok  ' : 'FAIL'}  ${result.part}: ${result.name} (${seconds(result.millis).trim()})`);
  };
  const { problems } = installation;
  add({
    part: 'install',
    name: 'one copy of everything, no complaints',
    ok: !problems.length,
    millis: 0,
    error: problems.join('\n'),
  });

  const types = async (check) => {
    const from = performance.now();
    const error = await checkTypes(check, { ...installation, root });
    add({ part: 'types', name: check.name, ok: error === '', millis: performance.now() - from, error });
  };
  const [compiling, ...others] = TYPE_CHECKS;
  await types(compiling);
  const checking = others.reduce((before, check) => before.then(() => types(check)), Promise.resolve());
  await Promise.all([checking, runSuite(matrix, installation, add)]);
  return { key, title: matrix.title, cost: installation.cost, results };
}

function readArguments() {
  const names = Object.keys(MATRICES);
  try {
    const { values } = parseArgs({
      options: { json: { type: 'boolean', default: false }, only: { type: 'string', multiple: true, default: names } },
    });
    const unknown = values.only.find((name) => !names.includes(name));
    if (unknown === undefined) return { ...values, only: names.filter((name) => values.only.includes(name)) };
    console.error(`--only takes ${names.join(' or ')}, not '${unknown}'`);
  } catch (error) {
    console.error(error.message);
  }
  console.error('usage: npm run test:compat [-- --only sdk2|sdk3] [-- --json]');
  process.exit(2);
}

function seconds(millis) {
  return `${(millis / 1_000).toFixed(1).padStart(5)} s`;
}

function since(start) {
  return Math.round((performance.now() - start) / 100) / 10;
}
