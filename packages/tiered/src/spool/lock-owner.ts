import { randomBytes } from 'node:crypto';
import type { ProcessIdentity } from './process-identity.js';

/** Who owns a lock. The token is drawn anew for every lock, so that no name of an owner is ever used twice. */
export interface LockOwner extends ProcessIdentity {
  /** 16 hex digits. */
  readonly token: string;
  /** Since when its machine runs, 16 hex digits; where it is said, nobody else's processes could use the directory. */
  readonly boot?: string | undefined;
}

export const newLockToken = (): string => randomBytes(8).toString('hex');

/** `<pid>-<start time, or 0>-<namespace>-<token>[-<boot>]`: the name of the owner's file in the lock. */
export const ownerName = ({ pid, startTime, namespace, token, boot }: LockOwner): string =>
  [pid, startTime ?? 0, namespace, token, ...(boot === undefined ? [] : [boot])].join('-');

export function parseOwnerName(name: string): LockOwner | undefined {
  const match = /^([1-9]\d{0,9})-(\d{1,15})-([0-9a-f]{16})-([0-9a-f]{16})(?:-([0-9a-f]{16}))?$/.exec(name);
  if (!match) return undefined;
  const startTime = Number(match[2]);
  return {
    pid: Number(match[1]),
    startTime: startTime === 0 ? undefined : startTime,
    namespace: match[3]!,
    token: match[4]!,
    ...(match[5] !== undefined && { boot: match[5] }),
  };
}

/** `free-<token>`: what its owner's file is renamed to when a lock is given back, so that the next owner need create nothing. */
export const newFreeName = (): string => `free-${newLockToken()}`;

export const isFreeName = (name: string): boolean => /^free-[0-9a-f]{16}$/.test(name);
