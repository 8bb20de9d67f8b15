import { join } from 'node:path';
import type { SystemFiles } from '../system-files.js';

export type CgroupController = 'cpu' | 'cpuacct' | 'memory';

/** The name under which `/proc/self/cgroup` lists the unified hierarchy. */
const UNIFIED = '';

/** Where a controller keeps the files of this process. */
export interface CgroupDirectories {
  readonly version: 1 | 2;
  /** Of the process's own cgroup and its ancestors, as far as they can be seen: own first. Not all need exist. */
  readonly paths: readonly string[];
}

/** A cgroup file system that is mounted. */
export interface CgroupMount {
  readonly version: 1 | 2;
  /** Of v1; v2 has all in one. */
  readonly controllers: readonly string[];
  /** The cgroup that the mount point shows. */
  readonly root: string;
  readonly mountPoint: string;
}

const SELF_CGROUP = '/proc/self/cgroup';
const SELF_MOUNTINFO = '/proc/self/mountinfo';

// The kernel's own limit is higher; nobody nests like that.
const MAX_DEPTH = 32;

/** Finds the process's own cgroups, and notices when it has been moved to others. */
export class CgroupLocator {
  private readonly files: SystemFiles;
  private membership: string | undefined;
  private mounts: readonly CgroupMount[] = [];

  constructor(files: SystemFiles) {
    this.files = files;
  }

  /** Whether the process is in other cgroups than at the last call. */
  async refresh(): Promise<boolean> {
    const membership = (await this.files.read(SELF_CGROUP)) ?? '';
    if (membership === '' && this.membership) throw new Error(`${SELF_CGROUP} has vanished`);
    if (membership === this.membership) return false;
    this.mounts = parseMounts((await this.files.read(SELF_MOUNTINFO)) ?? '');
    this.membership = membership;
    return true;
  }

  /** `undefined` when this controller has no cgroup of ours, as everywhere but on Linux. */
  locate(controller: CgroupController): CgroupDirectories | undefined {
    return locateCgroup(this.membership ?? '', this.mounts, controller);
  }

  /** The cgroup in the unified hierarchy, whatever controllers it has. */
  locateUnified(): CgroupDirectories | undefined {
    return locateCgroup(this.membership ?? '', this.mounts, UNIFIED);
  }
}

/**
 * A controller lives in exactly one hierarchy: a v1 one of its own (maybe shared with others), or the unified one.
 * `membership` is the text of `/proc/self/cgroup`.
 */
export function locateCgroup(
  membership: string,
  mounts: readonly CgroupMount[],
  controller: CgroupController | typeof UNIFIED,
): CgroupDirectories | undefined {
  const paths = parseMembership(membership);
  const version = controller !== UNIFIED && paths.has(controller) ? 1 : 2;
  const cgroup = paths.get(version === 1 ? controller : UNIFIED);
  if (cgroup === undefined) return undefined;
  for (const mount of mounts) {
    if (mount.version !== version || (version === 1 && !mount.controllers.includes(controller))) continue;
    const below = belowMount(cgroup, mount.root);
    if (below !== undefined) return { version, paths: withAncestors(mount.mountPoint, below) };
  }
  return undefined;
}

/** cgroups(7): `hierarchy-ID:controller-list:cgroup-path`. The unified hierarchy is under the empty name. */
export function parseMembership(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  return paths;
}

/** proc_pid_mountinfo(5): `36 35 98:0 /root /mount/point options [tags] - type source super-options`. */
export function parseMounts(text: string): readonly CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , root, mountPoint] = before.split(' ');
    const [type, , superOptions = ''] = after.split(' ');
    if (root === undefined || mountPoint === undefined || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    mounts.push({
      version: type === 'cgroup2' ? 2 : 1,
      controllers: superOptions.split(','),
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
    });
  }
  return mounts;
}

/**
 * The part of a cgroup's path below a mount's root: `''` for the root itself, `undefined` when the mount does not show
 * this cgroup. A path with `..` leads out of the cgroup namespace, to where nothing can be seen.
 */
function belowMount(cgroup: string, root: string): string | undefined {
  const prefix = root === '/' ? '' : root;
  const shows = cgroup === '/' || cgroup === prefix || cgroup.startsWith(`${prefix}/`);
  if (!shows) return undefined;
  const below = cgroup === '/' ? '' : cgroup.slice(prefix.length);
  return below.split('/').includes('..') ? undefined : below;
}

function withAncestors(mountPoint: string, below: string): string[] {
  const names = below.split('/').filter((name) => name !== '');
  const paths: string[] = [];
  for (let depth = names.length; depth >= 0 && paths.length < MAX_DEPTH; depth--) {
    paths.push(join(mountPoint, ...names.slice(0, depth)));
  }
  return paths;
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
