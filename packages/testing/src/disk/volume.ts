import { copyOfTree, DirectoryNode, type DiskNode, join, treeAfterCrash } from './directory-node.js';
import { diskError } from './disk-error.js';
import { FileNode } from './file-node.js';
import type { Survival } from './survival.js';

/** The tree of directories and files, without faults. Its paths are absolute, and both kinds of slash separate. */
export class Volume {
  readonly root: DirectoryNode;
  /** Files that are open; those without a name take up room until they are closed. */
  readonly openFiles = new Map<FileNode, number>();

  constructor(root: DirectoryNode = new DirectoryNode('/')) {
    this.root = root;
  }

  makeDirectory(path: string): void {
    let directory = this.root;
    const names = namesIn(path);
    for (const [index, name] of names.entries()) {
      const there = directory.entries.get(name);
      if (there?.kind === 'file') throw diskError(index + 1 < names.length ? 'ENOTDIR' : 'EEXIST', 'mkdir', path);
      const next = there ?? new DirectoryNode(join(directory.path, name));
      if (!there) directory.set(name, next);
      directory = next;
    }
  }

  hasDirectory(path: string): boolean {
    try {
      return this.find(path, 'stat').kind === 'directory';
    } catch {
      return false;
    }
  }

  directory(path: string, syscall: string): DirectoryNode {
    const node = this.find(path, syscall);
    if (node.kind === 'file') throw diskError('ENOTDIR', syscall, path);
    return node;
  }

  file(path: string): FileNode {
    const node = this.find(path, 'open');
    if (node.kind === 'directory') throw diskError('EISDIR', 'open', path);
    return node;
  }

  createFile(path: string): FileNode {
    const { directory, name } = this.entry(path, 'open');
    if (directory.entries.has(name)) throw diskError('EEXIST', 'open', path);
    const file = new FileNode(join(directory.path, name));
    directory.set(name, file);
    return file;
  }

  rename(from: string, to: string): void {
    const source = this.entry(from, 'rename');
    const target = this.entry(to, 'rename');
    const node = source.directory.entries.get(source.name);
    if (!node) throw diskError('ENOENT', 'rename', from);
    const replaced = target.directory.entries.get(target.name);
    if (replaced === node) return;
    if (isWithin(to, from)) throw diskError('EINVAL', 'rename', to);
    if (isWithin(from, to)) throw diskError('ENOTEMPTY', 'rename', to);
    if (replaced) checkReplaceable(node, replaced, to);
    const added = target.directory.set(target.name, node);
    const removed = source.directory.set(source.name, undefined, added);
    if (node.kind === 'directory') added.twin = removed;
  }

  remove(path: string): void {
    const { directory, name } = this.entry(path, 'unlink');
    const node = directory.entries.get(name);
    if (!node) throw diskError('ENOENT', 'unlink', path);
    if (node.kind === 'directory') throw diskError('EISDIR', 'unlink', path);
    directory.set(name, undefined);
  }

  removeDirectory(path: string): void {
    const { directory, name } = this.entry(path, 'rmdir');
    if (this.directory(path, 'rmdir').entries.size > 0) throw diskError('ENOTEMPTY', 'rmdir', path);
    directory.set(name, undefined);
  }

  /** Every file by its path; one that has two names comes twice. */
  *files(directory = this.root, path = '/'): Iterable<[string, FileNode]> {
    for (const [name, node] of directory.entries) {
      if (node.kind === 'file') yield [join(path, name), node];
      else yield* this.files(node, join(path, name));
    }
  }

  get usedBytes(): number {
    const files = new Set(this.openFiles.keys());
    for (const [, file] of this.files()) files.add(file);
    let bytes = 0;
    for (const { size } of files) bytes += size;
    return bytes;
  }

  afterCrash(survivalOf: () => Survival): Volume {
    return new Volume(treeAfterCrash(this.root, survivalOf));
  }

  /** With all that is pending, and no open file. */
  copy(): Volume {
    return new Volume(copyOfTree(this.root));
  }

  private find(path: string, syscall: string): DiskNode {
    let node: DiskNode = this.root;
    for (const name of namesIn(path)) {
      if (node.kind === 'file') throw diskError('ENOTDIR', syscall, path);
      const next = node.entries.get(name);
      if (!next) throw diskError('ENOENT', syscall, path);
      node = next;
    }
    return node;
  }

  private entry(path: string, syscall: string): { directory: DirectoryNode; name: string } {
    const names = namesIn(path);
    const name = names.pop();
    if (name === undefined) throw diskError('EBUSY', syscall, path);
    return { directory: this.directory(`/${names.join('/')}`, syscall), name };
  }
}

function checkReplaceable(node: DiskNode, replaced: DiskNode, to: string): void {
  if (replaced.kind === 'file') {
    if (node.kind === 'directory') throw diskError('ENOTDIR', 'rename', to);
    return;
  }
  if (node.kind === 'file') throw diskError('EISDIR', 'rename', to);
  if (replaced.entries.size > 0) throw diskError('ENOTEMPTY', 'rename', to);
}

/** Below that directory, or the same. */
const isWithin = (path: string, directory: string): boolean =>
  `${namesIn(path).join('/')}/`.startsWith(`${namesIn(directory).join('/')}/`);

/** `.` and `..` are resolved. */
export function namesIn(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split(/[\\/]/)) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}
