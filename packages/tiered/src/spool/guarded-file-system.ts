import type { FileSystem, OpenFile } from '@otel-resilience/core';

/**
 * The file system as the owner of a directory may use it: `check` rejects once the directory may be another's. Whoever
 * was taken for dead, and is not, must neither write nor remove nor truncate what has a new owner, nor read what has its
 * name by now. What was written counts only if the directory was still the owner's afterwards.
 */
export function guardedFileSystem(fileSystem: FileSystem, check: () => void | Promise<void>): FileSystem {
  const before = async <T>(call: () => Promise<T>): Promise<T> => {
    const checking = check();
    if (checking) await checking;
    return call();
  };
  const around = async <T>(call: () => Promise<T>): Promise<T> => {
    const result = await before(call);
    const checking = check();
    if (checking) await checking;
    return result;
  };
  const guarded = (file: OpenFile): OpenFile => ({
    size: () => file.size(),
    read: (into, position) => file.read(into, position),
    write: (chunks, position) => around(() => file.write(chunks, position)),
    sync: () => around(() => file.sync()),
    truncate: (length) => before(() => file.truncate(length)),
    close: () => file.close(),
  });
  return {
    makeDirectory: (path) => before(() => fileSystem.makeDirectory(path)),
    list: (path) => before(() => fileSystem.list(path)),
    open: async (path, how) => guarded(await before(() => fileSystem.open(path, how))),
    rename: (from, to) => before(() => fileSystem.rename(from, to)),
    remove: (path) => before(() => fileSystem.remove(path)),
    removeDirectory: (path) => before(() => fileSystem.removeDirectory(path)),
    syncDirectory: (path) => around(() => fileSystem.syncDirectory(path)),
  };
}
