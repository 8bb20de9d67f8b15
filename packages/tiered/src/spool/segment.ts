import { SEAL_BYTES, SEGMENT_HEADER_BYTES } from './frame.js';

/** Charged per frame for the note that it is settled, so that a full spool can still be emptied. */
export const ACK_BYTES = 24;
/** What a segment takes without a frame. */
export const EMPTY_SEGMENT_BYTES = SEGMENT_HEADER_BYTES + SEAL_BYTES;

/**
 * `<number>-<token>.seg`. Numbers below 2^52: a stray file with a higher one must not use up the numbers that are left.
 * The token is that of the header, which may be damaged; and it makes every name one that no other file ever had.
 */
export const SEGMENT_NAME = /^000[0-9a-f]{13}-[0-9a-f]{16}\.seg$/;
export const ACK_NAME = /^000[0-9a-f]{13}-[0-9a-f]{16}\.ack$/;

const hex = (value: number | bigint): string => value.toString(16).padStart(16, '0');
export const segmentName = (number: number, token: bigint): string => `${hex(number)}-${hex(token)}.seg`;
/** Of the notes beside a segment, and back. */
export const ackName = (segment: string): string => segment.replace(/\.seg$/, '.ack');
export const segmentOfNotes = (notes: string): string => notes.replace(/\.ack$/, '.seg');
export const numberOf = (name: string): number => Number.parseInt(name.slice(0, 16), 16);
export const tokenOf = (name: string): bigint => BigInt(`0x${name.slice(17, 33)}`);
/**
 * After those of `names`, which are of segments and notes. Of two halves of the numbers one is never counted from: whoever
 * has given a file the highest number has not taken the last one. Two files with one number have two names still.
 */
export const numberAfter = (names: readonly string[]): number =>
  names.map(numberOf).reduce((most, number) => (number < 2 ** 51 ? Math.max(most, number) : most), 0) + 1;
/** The same segment, or notes, with another number. */
export const renumbered = (name: string, number: number): string => hex(number) + name.slice(16);

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
  /** Of its file. */
  readonly name: string;
  readonly directory: string;
  /** As its header says or, where that is damaged or was not read, its name. */
  token: bigint;
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

export function newSegment(name: string, directory: string, token: bigint, now: number): Segment {
  return {
    name,
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

export const segmentPath = ({ directory, name }: Segment): string => `${directory}/${name}`;
export const ackPath = ({ directory, name }: Segment): string => `${directory}/${ackName(name)}`;
/** Frames that nobody has leased. */
export const waitingFrames = ({ frames, settledFrames, leasedFrames }: Segment): number =>
  frames - settledFrames - leasedFrames;
