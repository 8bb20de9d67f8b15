import type { CheckpointRecord } from './checkpoint-record.js';

/** What earlier processes with this directory have lost, that ended without a shutdown. */
export interface LostToCrash {
  readonly processes: number;
  /** Spans, at most: that had ended, and were neither sent nor in the spool, as far as is written. */
  readonly atMost: number;
  /**
   * So many of the processes may have lost more than `atMost` says of them: they may have ended with their machine, so that
   * what they wrote last never got to the disk, or they could not write. Absent: none of them, and `atMost` is true.
   */
  readonly unbounded?: number;
  /** When the last of them was last heard of, in milliseconds since 1970; 0 where that is not known. */
  readonly lastHeardOf: number;
}

/** Of one process; `isBound`: nothing that it wrote can be missing. */
export function lossOf(record: CheckpointRecord | undefined, isBound: boolean): LostToCrash {
  return {
    processes: 1,
    atMost: record ? Math.max(0, record.reserved - record.settled) : 0,
    ...((!record || !isBound) && { unbounded: 1 }),
    lastHeardOf: record?.wallMillis ?? 0,
  };
}

export function sumOf(a: LostToCrash, b: LostToCrash): LostToCrash {
  const unbounded = (a.unbounded ?? 0) + (b.unbounded ?? 0);
  return {
    processes: a.processes + b.processes,
    atMost: a.atMost + b.atMost,
    ...(unbounded > 0 && { unbounded }),
    lastHeardOf: Math.max(a.lastHeardOf, b.lastHeardOf),
  };
}

/** Of one process. */
export function describeLoss({ atMost, unbounded, lastHeardOf }: LostToCrash): string {
  if (lastHeardOf === 0) return 'a process has ended without a shutdown: how many spans it lost is not known';
  const who = `a process that was last heard of at ${new Date(lastHeardOf).toISOString()} has ended without a shutdown`;
  if (!unbounded) return `${who}: it lost at most ${atMost} spans`;
  return `${who}, and perhaps its machine with it: it lost at most ${atMost} spans until then; what came later is not known`;
}
