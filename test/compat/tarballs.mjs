import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from './npm.mjs';

/** In the order of their dependencies. */
const FOR_APPLICATIONS = ['core', 'degradation', 'sampler', 'exporter', 'processor', 'tiered', 'otlp', 'node'];
const FOR_TESTS = ['core', 'exporter', 'tiered', 'otlp', 'cli', 'testing'];

/**
 * Packs our packages as they would be published. `manifests` is a hash of what they ask npm for, `contents` of all
 * that is in them.
 */
export async function packOurs(root, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const names = [...new Set([...FOR_APPLICATIONS, ...FOR_TESTS])];
  const workspaces = names.flatMap((name) => ['-w', `packages/${name}`]);
  await npm(['pack', '--ignore-scripts', '--pack-destination', folder, ...workspaces], { cwd: root });

  const manifests = createHash('sha256');
  const contents = createHash('sha256');
  const files = new Map();
  for (const name of names) {
    const packed = readdirSync(folder).find((file) => file.startsWith(`otel-resilience-${name}-`));
    const bytes = readFileSync(join(folder, packed));
    const hash = createHash('sha256').update(bytes).digest('hex');
    contents.update(hash);
    const { version, dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(
      readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'),
    );
    manifests.update(JSON.stringify([name, version, dependencies, peerDependencies, peerDependenciesMeta]));
    // npm remembers a tarball by its path, so new contents need a new name.
    const file = join(folder, packed.replace('.tgz', `-${hash.slice(0, 12)}.tgz`));
    renameSync(join(folder, packed), file);
    files.set(name, file);
  }
  const pick = (wanted) => wanted.map((name) => ({ name: `@otel-resilience/${name}`, file: files.get(name) }));
  return {
    manifests: manifests.digest('hex'),
    contents: contents.digest('hex'),
    forApplications: pick(FOR_APPLICATIONS),
    forTests: pick(FOR_TESTS),
  };
}
