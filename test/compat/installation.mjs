import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SHARED_WITH_THE_SDK, scenarioInstall, strangerInstall } from './matrices.mjs';
import { install, npm, run } from './npm.mjs';

/**
 * A stranger's folder for one matrix, made once and kept:
 *
 *     app/      our tarballs, NodeSDK and the api, installed by one command; then the apps and what they import
 *     driver/   the suite, with `@otel-resilience/testing`
 *     node/     the matrix's Node, unless this process is one
 *
 * When only the contents of our packages have changed they are unpacked over the old ones.
 */
export async function prepare(matrix, tarballs, { folder, source, say }) {
  const installed = join(folder, 'installed.json');
  const wanted = createHash('sha256')
    .update(JSON.stringify([matrix, tarballs.manifests, process.platform, process.arch]))
    .update(readFileSync(new URL(import.meta.url)))
    .digest('hex');
  let state = existsSync(installed) ? JSON.parse(readFileSync(installed, 'utf8')) : undefined;
  const app = join(folder, 'app');
  const driver = join(folder, 'driver');

  if (state?.wanted !== wanted) {
    rmSync(folder, { recursive: true, force: true });
    const node = await matrixNode(matrix, join(folder, 'node'), say);
    say('installing NodeSDK and our packages');
    const findings = await installAsStranger(matrix, tarballs, { app, alone: join(folder, 'alone'), node });
    say('installing what the scenarios and the suite need');
    emptyPackage(driver);
    await Promise.all([
      install(app, scenarioInstall(matrix), node),
      install(driver, [...tarballs.forTests.map(({ file }) => file), `@opentelemetry/api@${matrix.api}`], node),
    ]);
    const { problems } = await tree(app, node);
    state = { wanted, contents: tarballs.contents, node, ...findings, problems: [...findings.problems, ...problems] };
  } else if (state.contents !== tarballs.contents) {
    say('unpacking our packages anew');
    await unpackOver(app, tarballs.forApplications);
    await unpackOver(driver, tarballs.forTests);
    state.contents = tarballs.contents;
  } else {
    say('installed already');
  }
  writeFileSync(installed, JSON.stringify(state, undefined, 2));
  copyApps(matrix, source, app);
  replace(join(source, 'suite'), join(driver, 'suite'));
  return { ...state, app, driver };
}

/** This process's Node when it is the right one, otherwise one from npm. */
async function matrixNode({ node }, folder, say) {
  if (process.versions.node.startsWith(`${node}.`)) return process.execPath;
  say(`installing Node ${node}`);
  emptyPackage(folder);
  await install(folder, [`node@${node}`]);
  return join(folder, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/** The command a stranger types, in a new project and in one that has NodeSDK already: what npm says, what it adds. */
async function installAsStranger(matrix, tarballs, { app, alone, node }) {
  const ours = tarballs.forApplications.map(({ file }) => file);
  const nodeSdk = strangerInstall(matrix, []);
  emptyPackage(app);
  const { output } = await install(app, strangerInstall(matrix, ours), node);
  emptyPackage(alone);
  await install(alone, [...nodeSdk, '--package-lock-only'], node);
  const before = lockedPackages(alone);
  const { output: outputOfAdding } = await install(alone, [...ours, '--package-lock-only'], node);

  const after = lockedPackages(app);
  const added = after.filter((path) => !before.includes(path));
  return {
    problems: [
      ...complaints(output, 'in a new project'),
      ...complaints(outputOfAdding, 'beside an installed NodeSDK'),
      ...copies(after, 'in a new project'),
      ...copies(lockedPackages(alone), 'beside an installed NodeSDK'),
    ],
    cost: {
      nodeSdk: { packages: before.length, megabytes: megabytes(app, before) },
      added: { packages: added.length, megabytes: megabytes(app, added), names: added.map(withoutFolder) },
    },
  };
}

/** What the installed tree lacks or has wrong, by npm's own judgement. */
async function tree(folder, node) {
  try {
    await npm(['ls', '--all', '--json'], { cwd: folder, node });
    return { problems: [] };
  } catch (error) {
    return { problems: [`npm ls: ${error.message}`] };
  }
}

const complaints = (output, where) =>
  output
    .split('\n')
    .filter((line) => /ERESOLVE|EBADENGINE|peer dep|conflict/i.test(line))
    .map((line) => `${where}: ${line.trim()}`);

const copies = (paths, where) =>
  SHARED_WITH_THE_SDK.flatMap((name) => {
    const found = paths.filter((path) => withoutFolder(path) === name);
    return found.length === 1 ? [] : [`${where}: ${found.length} copies of ${name}`];
  });

const withoutFolder = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

function lockedPackages(folder) {
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  return Object.entries(packages)
    .filter(([path, { optional }]) => path && !optional)
    .map(([path]) => path);
}

/** As `du` would count with blocks of a byte; packages inside packages count for themselves. */
function megabytes(folder, packages) {
  const bytes = packages.reduce((sum, path) => sum + sizeOf(join(folder, path)), 0);
  return Math.round(bytes / 1e5) / 10;
}

function sizeOf(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    bytes += entry.isDirectory() ? sizeOf(path) : statSync(path).size;
  }
  return bytes;
}

async function unpackOver(folder, tarballs) {
  for (const { name, file } of tarballs) {
    const target = join(folder, 'node_modules', name);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    const { code, stderr } = await run('tar', ['-xzf', file, '-C', target, '--strip-components=1']);
    if (code !== 0) throw new Error(`tar: ${stderr}`);
  }
}

/** The type fixtures are there twice, once in the scope of each module format, with the major's own `sdk.ts`. */
function copyApps({ traceSdk }, source, app) {
  for (const entry of readdirSync(join(source, 'apps'))) replace(join(source, 'apps', entry), join(app, entry));
  const types = join(app, 'types');
  renameSync(join(types, traceSdk.includes('-base') ? 'sdk-2.ts' : 'sdk-3.ts'), join(types, 'sdk.ts'));
  rmSync(join(types, traceSdk.includes('-base') ? 'sdk-3.ts' : 'sdk-2.ts'));
  replace(types, join(app, 'types-esm'));
  writeFileSync(join(app, 'types-esm', 'package.json'), '{"type":"module"}\n');
}

function replace(from, to) {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
}

function emptyPackage(folder) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"name":"a-strangers-application","private":true}\n');
}
