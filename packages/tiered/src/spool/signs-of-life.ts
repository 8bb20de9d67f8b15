import { lstat, readFile, rename, rm, statfs } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import type { FileSystem } from '@otel-resilience/core';
import { codeOf, isMissing, quietly } from './file-errors.js';
import { nodeFileSystem } from './node-file-system.js';
import { BOOT_ID, digest } from './process-identity.js';

/**
 * Proofs that an owner is gone which is of another container, or of a time before a reboot, so that its pid says nothing.
 * FORMAT.md ("The lock") says why they are proofs.
 */
export interface SignsOfLife {
  /** The boot of this machine, if nothing but what runs on it can use the directory: 16 hex digits. */
  bootFor(directory: string): Promise<string | undefined>;
  /** Shows at `path` that this process lives. Resolves to what ends that, and never rejects. */
  show(path: string): Promise<() => Promise<void>>;
  /** Whether whoever has shown there that it lives, since this boot, has ended for certain. */
  isGone(path: string): Promise<boolean>;
}

/** For a directory of this file system; of another one nothing is known. */
export const signsOn = (fileSystem: FileSystem): SignsOfLife | undefined =>
  fileSystem === nodeFileSystem && process.platform === 'linux' ? linuxSigns : undefined;

/** statfs(2): ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs. One kernel has it at a time, and each file as one inode. */
const LOCAL_TYPES: readonly number[] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0x0102_1994];

/** unix(7): 107 and a zero; more is cut off silently by some. */
const MAX_SOCKET_PATH_BYTES = 107;

/** LXC and systemd-nspawn mount another file over that of the kernel: the same boot has many ids then. */
const PROC_TYPE = 0x9fa0;

const linuxSigns: SignsOfLife = {
  async bootFor(directory) {
    try {
      if (!LOCAL_TYPES.includes(await typeOf(directory)) || (await typeOf(BOOT_ID)) !== PROC_TYPE) return undefined;
      return digest(await readFile(BOOT_ID, 'latin1'));
    } catch {
      return undefined;
    }
  },

  /**
   * A socket that is listened at: whoever is of the same kernel can ask it, across containers, whether there is still
   * somebody, and the kernel closes it with its process. Until it is listened at it has another name.
   */
  async show(path) {
    const draft = `${path}.new`;
    if (Buffer.byteLength(draft) > MAX_SOCKET_PATH_BYTES) return async () => {};
    const server = createServer((socket) => socket.destroy());
    const hide = async () => {
      server.close();
      await quietly(rm(path, { force: true }));
    };
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // By this process itself, not by the primary of a cluster.
        server.listen({ path: draft, exclusive: true }, resolve);
        server.unref();
      });
      server.on('error', () => {});
      await rename(draft, path);
      return hide;
    } catch {
      await hide();
      return async () => {};
    }
  },

  async isGone(path) {
    try {
      // Of what is no socket the same is said.
      if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES || !(await lstat(path)).isSocket()) return false;
    } catch {
      return false;
    }
    return new Promise((resolve) => {
      const socket = connect(path);
      const answer = (isGone: boolean) => {
        socket.destroy();
        resolve(isGone);
      };
      socket.once('connect', () => answer(false));
      socket.on('error', (error) => answer(codeOf(error) === 'ECONNREFUSED'));
    });
  },
};

/** Of a directory that may have to be made. */
async function typeOf(directory: string): Promise<number> {
  try {
    return (await statfs(directory)).type;
  } catch (error) {
    if (!isMissing(error) || directory === dirname(directory)) throw error;
    return typeOf(dirname(directory));
  }
}
