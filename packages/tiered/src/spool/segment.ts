import { SEAL_BYTES, SEGMENT_HEADER_BYTES } from './frame.js';

/** Charged per frame for the note that it is settled, so that a full spool can still be emptied. */
export const ACK_BYTES = 24;
/** What a segment takes without a frame. */
export const EMPTY_SEGMENT_BYTES = SEGMENT_HEADER_BYTES + SEAL_BYTES;

/** Numbers below 2^52: a stray file with a higher one must not use up the numbers that are left. */
export const SEGMENT_NAME = /^000[0-9a-f]{13}\.seg$/;
export const ACK_NAME = /^000[0-9a-f]{13}\.ack$/;

const nameOf = (number: number): string => number.toString(16).padStart(16, '0');
export const segmentName = (number: number): string => `${nameOf(number)}.seg`;
export const ackName = (number: number): string => `${nameOf(number)}.ack`;
export const numberOf = (name: string): number => Number.parseInt(name.slice(0, 16), 16);

/** Where a frame is, and what its header says. */
export interface FrameEntry {
  readonly offset: number;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  readonly spanCount: number;
  readonly id: number;
}

/**
 * What is known of a segment while it lies on disk: numbers only. The frames of one that is being replayed are in
 * `waiting`, in their order; of any other they are read when their turn comes.
 */
export interface Segment {
  readonly number: number;
  readonly directory: string;
  /** 0 when its header could not be read: no note of settled frames counts then. */
  readonly token: bigint;
  /** Charged to the spool, notes of settled frames included. */
  bytes: number;
  /** Frames that may be leased, those settled included. */
  frames: number;
  /** Where they end. */
  visibleBytes: number;
  /** Spans of those that are not settled. */
  spans: number;
  settledFrames: number;
  leasedFrames: number;
  /** By the monotonic clock: when its newest frame was written, in this process or before. */
  newestAt: number;
  /** Whether it is still being written. */
  active: boolean;
  /** Read up to here, with what was found and neither settled nor leased. */
  scannedBytes: number;
  waiting: FrameEntry[];
  /** Expected after that. */
  unscannedFrames: number;
  unscannedSpans: number;
  /** There are notes of what is settled. */
  hasAcks: boolean;
  /** Not to be read before: it could not be. */
  blockedUntil: number;
  blockedMillis: number;
  /** Frames that cannot be leased are in it, for the next process: they are in the memory of this one alone. */
  isNeeded: boolean;
  /** Removed, or being removed. */
  gone: boolean;
}

export function newSegment(number: number, directory: string, token: bigint, now: number): Segment {
  return {
    number,
    directory,
    token,
    bytes: EMPTY_SEGMENT_BYTES,
    frames: 0,
    visibleBytes: SEGMENT_HEADER_BYTES,
    spans: 0,
    settledFrames: 0,
    leasedFrames: 0,
    newestAt: now,
    active: false,
    scannedBytes: SEGMENT_HEADER_BYTES,
    waiting: [],
    unscannedFrames: 0,
    unscannedSpans: 0,
    hasAcks: false,
    blockedUntil: Number.NEGATIVE_INFINITY,
    blockedMillis: 0,
    isNeeded: false,
    gone: false,
  };
}

export const segmentPath = ({ directory, number }: Segment): string => `${directory}/${segmentName(number)}`;
export const ackPath = ({ directory, number }: Segment): string => `${directory}/${ackName(number)}`;
/** Frames that nobody has leased. */
export const waitingFrames = ({ frames, settledFrames, leasedFrames }: Segment): number =>
  frames - settledFrames - leasedFrames;
