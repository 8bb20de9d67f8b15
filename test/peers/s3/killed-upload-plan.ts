import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { Random } from '../../invariants/unbiased/random.js';

/** What an upload is made of. */
export const COMMANDS = [
  'PutObjectCommand',
  'CreateMultipartUploadCommand',
  'UploadPartCommand',
  'CompleteMultipartUploadCommand',
] as const;
export type Command = (typeof COMMANDS)[number];

/** When a process dies: some time after its first request, or at one of its requests. */
export type UploadKill =
  | { readonly by: 'parent'; readonly delayMillis: number }
  | {
      readonly by: 'itself';
      readonly command: Command;
      /** The how-manieth of them. If it does not come, the process dies when it has done its work. */
      readonly nth: number;
      readonly moment: 'before' | 'after' | { readonly delayMillis: number };
    };

export interface UploadJob {
  readonly clientOptions: S3ClientConfig;
  readonly bucket: string;
  readonly prefix: string;
  /** Where it says what it does. */
  readonly log: string;
  readonly seed: number;
  /** The batches to archive, by number; those with `isLarge` in parts. */
  readonly batches: readonly number[];
  /** All at the same time, or one after the other. */
  readonly together: boolean;
  /** What it takes for the time of day. */
  readonly wallMillis: number;
  readonly kill?: UploadKill;
}

export const isLarge = (batch: number): boolean => batch % 2 === 0;

/** How often a process sends each, and how long it takes, more or less. */
const AIMS: Readonly<Record<Command, readonly [weight: number, mostOften: number, meanMillis: number]>> = {
  PutObjectCommand: [4, 3, 4],
  CreateMultipartUploadCommand: [1, 1, 3],
  UploadPartCommand: [5, 3, 15],
  CompleteMultipartUploadCommand: [3, 1, 10],
};

export function planUploadKill(random: Random): UploadKill {
  if (random.chance(0.4)) return { by: 'parent', delayMillis: random.exponential(60) };
  const command = COMMANDS[random.pick(COMMANDS.map((each) => AIMS[each][0]))]!;
  const [, mostOften, meanMillis] = AIMS[command];
  const moment = (['before', 'after', 'during'] as const)[random.pick([1, 1, 3])]!;
  return {
    by: 'itself',
    command,
    nth: random.integer(1, mostOften),
    moment: moment === 'during' ? { delayMillis: random.exponential(meanMillis) } : moment,
  };
}
