import type * as fs from 'node:fs';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeDirectory, makeDirectorySync } from './make-directory.js';

const readOnly = vi.hoisted(() => ({ below: undefined as string | undefined, code: 'EROFS' }));
vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  // As Linux does on a file system that is mounted read-only, and what Node's own `recursive` makes of it.
  const refusal = (path: string, recursive = false) => {
    if (!readOnly.below || !path.startsWith(`${readOnly.below}/`)) return undefined;
    const code = recursive || path.split('/').length > readOnly.below.split('/').length + 1 ? 'ENOENT' : readOnly.code;
    return Object.assign(new Error(`${code}: mkdir '${path}'`), { code });
  };
  return {
    ...fs,
    mkdirSync: (path: string, options: fs.MakeDirectoryOptions) => {
      const error = refusal(path, options.recursive);
      if (error) throw error;
      return fs.mkdirSync(path, options);
    },
    mkdir: (path: string, options: fs.MakeDirectoryOptions, done: fs.NoParamCallback) => {
      const error = refusal(path, options.recursive);
      if (error) done(error);
      else fs.mkdir(path, options, done as never);
    },
  };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'make-directory-'));
});
afterEach(() => {
  Object.assign(readOnly, { below: undefined, code: 'EROFS' });
  rmSync(folder, { recursive: true });
});

describe.each([
  ['makeDirectory', makeDirectory],
  ['makeDirectorySync', async (path: string) => makeDirectorySync(path)],
] as const)('%s', (_, make) => {
  it('makes all that is missing, for the owner alone, and leaves what is there', async () => {
    await make(join(folder, 'a/b/c'));
    await make(join(folder, 'a/b/c'));
    for (const path of ['a', 'a/b', 'a/b/c']) expect(statSync(join(folder, path)).mode & 0o777).toBe(0o700);
  });

  it('says that a file system is read-only, however much is missing', async () => {
    readOnly.below = folder;
    await expect(make(join(folder, 'a'))).rejects.toMatchObject({ code: 'EROFS' });
    await expect(make(join(folder, 'a/b'))).rejects.toMatchObject({ code: 'EROFS' });
  });

  it('fails where a file is in the way, or a link that leads nowhere', async () => {
    writeFileSync(join(folder, 'file'), '');
    symlinkSync(join(folder, 'nowhere/at/all'), join(folder, 'link'));
    await expect(make(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(make(join(folder, 'file/a'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(make(join(folder, 'link/a'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it('fails where nothing can be made, instead of trying for ever', async () => {
    Object.assign(readOnly, { below: folder, code: 'ENOENT' });
    const proc = process.platform === 'linux' ? ['/proc/nothing-here/a'] : [];
    for (const path of [join(folder, 'a'), join(folder, 'a/b'), ...proc]) {
      await expect(make(path)).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });
});
