import type { Random } from '../invariants/unbiased/random.js';

export const PHASES = ['recovery', 'replay', 'append', 'shutdown'] as const;
export type Phase = (typeof PHASES)[number];

export const MOMENTS = ['before', 'during', 'halfway', 'after'] as const;
export type Moment = (typeof MOMENTS)[number];

/** When the process dies: some time after it has entered a phase, or at an operation of its file system. */
export type Kill =
  | { readonly by: 'parent'; readonly phase: Phase; readonly delayMillis: number }
  | {
      readonly by: 'itself';
      readonly phase: Phase;
      readonly operation: Operation;
      /** The how-manieth of them from the beginning of the phase on; if it does not come, one of the shutdown. */
      readonly nth: number;
      readonly moment: Moment;
    };

export type Operation =
  | 'any'
  | 'makeDirectory'
  | 'list'
  | 'create'
  | 'update'
  | 'open'
  | 'rename'
  | 'remove'
  | 'removeDirectory'
  | 'syncDirectory'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close';

export interface Job {
  readonly directory: string;
  /** Where it says what it does. */
  readonly log: string;
  readonly seed: number;
  readonly firstId: number;
  readonly fsync: 'always' | 'interval' | 'never';
  readonly order: 'oldest' | 'newest';
  readonly kill?: Kill;
}

/** What happens in a phase, with how often it is aimed at. */
const OPERATIONS: Readonly<Record<Phase, ReadonlyArray<readonly [Operation, number, mostOften: number]>>> = {
  recovery: [
    ['list', 1, 3],
    ['open', 3, 6],
    ['read', 3, 8],
    ['truncate', 3, 1],
    ['remove', 3, 3],
    ['rename', 2, 1],
    ['write', 1, 1],
    ['syncDirectory', 1, 3],
  ],
  replay: [
    ['open', 1, 4],
    ['read', 2, 4],
    ['write', 4, 4],
    ['create', 2, 2],
    ['remove', 4, 4],
    ['syncDirectory', 3, 4],
    ['close', 1, 4],
  ],
  append: [
    ['create', 4, 5],
    ['write', 6, 15],
    ['sync', 4, 12],
    ['syncDirectory', 3, 5],
    ['close', 2, 8],
    ['remove', 3, 3],
    ['read', 1, 8],
  ],
  shutdown: [['any', 1, 5]],
};

const PHASE_WEIGHTS = [3, 2, 5, 2];
const MEAN_DELAY_MILLIS: Readonly<Record<Phase, number>> = { recovery: 1.5, replay: 1.5, append: 4, shutdown: 1 };

export function planKill(random: Random): Kill {
  const phase = PHASES[random.pick(PHASE_WEIGHTS)]!;
  if (random.chance(0.4)) return { by: 'parent', phase, delayMillis: random.exponential(MEAN_DELAY_MILLIS[phase]) };
  const operations = OPERATIONS[phase];
  const [operation, , mostOften] = operations[random.pick(operations.map(([, weight]) => weight))]!;
  const moments = MOMENTS.filter((each) => each !== 'halfway' || operation === 'write');
  const moment = moments[random.integer(0, moments.length - 1)]!;
  return { by: 'itself', phase, operation, nth: random.integer(1, mostOften), moment };
}
