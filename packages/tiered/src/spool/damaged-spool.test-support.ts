import { deliveredOutcome, SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpan } from '@otel-resilience/testing';
import { Spool } from './disk-spool.js';
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  type FrameKey,
  frameKey,
  SEGMENT_HEADER_BYTES,
} from './frame.js';
import { SEGMENT_NAME } from './segment.js';
import type { SpoolLease } from './spool.js';

export const DIRECTORY = '/spool';
export const SPANS_PER_FRAME = 1;

/** The files of a spool's directory, by name. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** One frame: its spans are called `<frame>.<span>`. */
const frame = (number: number): SpanBatch =>
  SpanBatch.fromSpans(
    Array.from({ length: SPANS_PER_FRAME }, (_, index) =>
      fakeSpan({ index: number * 10 + index, name: `${number}.${index}`, attributes: {}, events: [] }),
    ),
  );

export const namesOf = (...frames: readonly number[]): string[] =>
  frames.flatMap((number) => Array.from({ length: SPANS_PER_FRAME }, (_, index) => `${number}.${index}`));

export const filesOf = (disk: FaultyDisk): Files =>
  new Map(
    [...disk.contents()]
      .filter(([path]) => /^\/spool\/[0-9a-f-]{33}\.(seg|ack)$/.test(path))
      .map(([path, bytes]) => [path.slice(DIRECTORY.length + 1), bytes]),
  );

export const segmentsOf = (files: Files): string[] =>
  [...files.keys()].filter((name) => SEGMENT_NAME.test(name)).sort();

export async function diskWith(files: Files): Promise<FaultyDisk> {
  const disk = new FaultyDisk({ seed: 1 });
  await disk.makeDirectory(DIRECTORY);
  for (const [name, bytes] of files) {
    const inOwn = name.lastIndexOf('/');
    if (inOwn > 0) await disk.makeDirectory(`${DIRECTORY}/${name.slice(0, inOwn)}`);
    const file = await disk.open(`${DIRECTORY}/${name}`, 'create');
    if (bytes.byteLength > 0) await file.write([bytes], 0);
    await file.sync();
    await file.close();
  }
  await disk.syncDirectory(DIRECTORY);
  return disk;
}

/** Frames 1, 2 …, of which `settled` are. `killed`: the segment that was being written is not finished. */
export async function writtenSpool(
  frames: number,
  settled: readonly number[],
  how: { killed?: boolean; framesPerSegment?: number } = {},
): Promise<Files> {
  const { killed = false, framesPerSegment = frames } = how;
  let disk = new FaultyDisk({ seed: 1 });
  for (let first = 1; first <= frames; first += framesPerSegment) {
    const last = Math.min(frames, first + framesPerSegment - 1);
    const spool = new Spool({ directory: DIRECTORY, fileSystem: disk });
    await spool.open();
    // Out of the way, so that each lease is of one frame.
    while (await spool.lease());
    const leases: SpoolLease[] = [];
    for (let number = first; number <= last; number++) {
      await spool.append(frame(number));
      leases.push((await spool.lease())!);
    }
    for (const [index, { batch, settle }] of leases.entries()) {
      if (settled.includes(first + index)) settle(deliveredOutcome(batch.spanCount));
    }
    const closing = killed && last === frames ? flushed(spool) : spool.shutdown();
    await closing;
    if (killed && last === frames) {
      const left = disk.kill();
      await spool.shutdown();
      disk = left;
    }
  }
  return filesOf(disk);
}

/** Notes are written soon after. */
async function flushed(spool: Spool): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve(spool.size);
  await new Promise((resolve) => setImmediate(resolve));
}

export interface Drained {
  /** Of the spans that were leased, in their order. */
  readonly names: readonly string[];
  readonly stats: ReturnType<Spool['stats']>;
  readonly status: ReturnType<Spool['status']>;
}

/** Opens a spool in it and takes out all there is. */
export async function drain(disk: FaultyDisk): Promise<Drained> {
  const spool = new Spool({ directory: DIRECTORY, fileSystem: disk, required: true });
  try {
    await spool.open();
    const names: string[] = [];
    for (let lease = await spool.lease(); lease; lease = await spool.lease()) {
      for (const { name } of lease.batch.spans()) names.push(name);
      lease.settle(deliveredOutcome(lease.batch.spanCount));
    }
    return { names, stats: spool.stats(), status: spool.status() };
  } finally {
    await spool.shutdown();
  }
}

export function withBytes(files: Files, name: string, change: (bytes: Buffer) => Uint8Array | undefined): Files {
  const bytes = Buffer.from(files.get(name) ?? []);
  return new Map([...files, [name, new Uint8Array(change(bytes) ?? bytes)]]);
}

export const flipped = (files: Files, name: string, offset: number, mask = 1 << (offset % 8)): Files =>
  withBytes(files, name, (bytes) => {
    bytes[offset]! ^= mask;
    return bytes;
  });

/** Of a segment whose header is intact. */
export function keyOf(bytes: Uint8Array): FrameKey {
  const header = decodeSegmentHeader(Buffer.from(bytes.subarray(0, SEGMENT_HEADER_BYTES)));
  if (!header || header === 'other version') throw new Error('no header');
  return frameKey(header.token);
}

/** Where each frame begins and ends. */
export function layout(bytes: Uint8Array): Array<{ begin: number; end: number }> {
  const key = keyOf(bytes);
  const frames = [];
  for (let at = SEGMENT_HEADER_BYTES; at + FRAME_HEADER_BYTES <= bytes.byteLength; ) {
    const header = decodeFrameHeader(Buffer.from(bytes), key, at);
    if (!header || header.isSeal) break;
    const end = at + FRAME_HEADER_BYTES + header.bodyBytes;
    frames.push({ begin: at, end });
    at = end;
  }
  return frames;
}
