import type { Clock, FileSystem, OpenFile } from '@otel-resilience/core';
import { readAcks } from './ack-file.js';
import { copyBytes } from './copy-bytes.js';
import { isMissing, quietly } from './file-errors.js';
import {
  decodeSeal,
  encodeSeal,
  FRAME_HEADER_BYTES,
  type FrameKey,
  frameKey,
  SEAL_BYTES,
  SEGMENT_HEADER_BYTES,
  type Seal,
} from './frame.js';
import { frameBytes } from './pending-frame.js';
import {
  ACK_BYTES,
  ackName,
  ackPath,
  newSegment,
  numberAfter,
  type Segment,
  segmentName,
  segmentOfNotes,
  segmentPath,
  tokenOf,
} from './segment.js';
import { type Damage, noDamage, readFully, readHead, type ScannedFrame, scanFrames } from './segment-reader.js';
import { writeFully } from './segment-writer.js';
import { isNoteName, isSegmentName, isSpoolName } from './spool-names.js';

export interface Recovered {
  /** In their order, the oldest first. */
  readonly segments: Segment[];
  readonly nextNumber: number;
  readonly nextId: number;
  /** Names that are not ours. */
  readonly foreign: string[];
  readonly corrupt: Damage;
  readonly torn: Damage;
}

export interface RecoveryOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /** Whether what is found is to be made durable: its writer may have died before it was. */
  readonly sync: boolean;
  readonly clock: Clock;
}

interface Summary {
  readonly frames: number;
  readonly spans: number;
  /** Where the last frame ends, and what follows it that is ours: a seal. */
  readonly frameEnd: number;
  readonly end: number;
  readonly lastId: number;
  readonly newestMillis: number;
  readonly corrupt: Damage;
  readonly torn: Damage;
}

/** A clock that says so had not been set yet: no span was written before this was. */
const EARLIEST_MILLIS = Date.UTC(2020, 0, 1);
/** An age that says more of this clock, which is ahead by years, than of what waits. */
const INCREDIBLE_MILLIS = 366 * 24 * 3_600_000;
const NOTHING: ReadonlySet<number> = new Set();

/**
 * Finds out what an earlier process has left in a directory. Bodies are not read, nor the headers of a segment that was
 * finished in peace: it sums itself up. What that says is checked when the segment is replayed.
 */
export async function recover(options: RecoveryOptions, only?: readonly string[]): Promise<Recovered> {
  const { fileSystem, directory } = options;
  const names = (await fileSystem.list(directory)).sort();
  const segmentNames = names.filter(isSegmentName);
  const ackNames = names.filter(isNoteName);
  const ours = new Set([...segmentNames, ...ackNames]);
  const recovery = new Recovery(options, new Set(ackNames), numberAfter([...ours]));
  for (const name of only ?? segmentNames) await recovery.read(name);
  const synced = recovery.syncDirectory();
  // What a dead owner has left is sent all the same.
  await (only ? quietly(synced) : synced);
  if (!only) {
    // Of segments that were removed just before the end.
    const orphans = ackNames.filter((name) => !ours.has(segmentOfNotes(name)));
    for (const name of orphans) await quietly(fileSystem.remove(`${directory}/${name}`));
  }
  const { foreign, ...result } = recovery.result;
  return {
    ...result,
    foreign: [...names.filter((name) => !isSpoolName(name)), ...foreign],
    nextNumber: recovery.nextNumber,
  };
}

class Recovery {
  private readonly options: RecoveryOptions;
  private readonly ackNames: ReadonlySet<string>;
  private readonly segments: Segment[] = [];
  private readonly corrupt = noDamage();
  private readonly torn = noDamage();
  private readonly foreign: string[] = [];
  private lastId = 0;
  private newestMillis = 0;
  private hasUnsynced = false;
  private failed: unknown;
  nextNumber: number;

  constructor(options: RecoveryOptions, ackNames: ReadonlySet<string>, nextNumber: number) {
    this.options = options;
    this.ackNames = ackNames;
    this.nextNumber = nextNumber;
  }

  get result() {
    const { segments, corrupt, torn, foreign, lastId } = this;
    return { segments, corrupt, torn, foreign, nextId: lastId + 1 };
  }

  async read(name: string): Promise<void> {
    const { fileSystem, directory, clock } = this.options;
    try {
      const file = await fileSystem.open(`${directory}/${name}`, 'read');
      const segment = await this.summarize(name, file).finally(() => quietly(file.close()));
      if (segment === 'foreign') this.foreign.push(name);
      else if (segment.frames > segment.settledFrames) this.segments.push(segment);
      else await this.discard(segment);
    } catch (error) {
      // Gone in the meantime, with its owner's consent.
      if (isMissing(error)) return;
      // It cannot be read now: its frames are counted when it can be.
      const segment = newSegment(name, directory, tokenOf(name), clock.now());
      segment.hasAcks = this.ackNames.has(ackName(name));
      this.segments.push({ ...segment, frames: 1, unscannedFrames: 1, visibleBytes: Number.POSITIVE_INFINITY });
    }
  }

  private async summarize(name: string, file: OpenFile): Promise<Segment | 'foreign'> {
    const { fileSystem, directory, clock } = this.options;
    const size = await file.size();
    const head = await readHead(file, name);
    if (!head) return 'foreign';
    const { header, token } = head;
    const segment = newSegment(name, directory, token, clock.now());
    if (!header) segment.scannedBytes = 0;
    segment.hasAcks = this.ackNames.has(ackName(name));
    const acks = segment.hasAcks ? await readAcks(fileSystem, segment).catch(() => NOTHING) : NOTHING;
    const seal = await readSeal(file, size, frameKey(token));
    // With notes of what is settled the frames have to be looked at.
    const isSealed = header !== undefined && seal !== undefined && seal.frames > 0;
    const isSummedUp = isSealed && acks.size === 0;
    const summary = isSummedUp
      ? { ...seal, frameEnd: seal.offset, end: seal.offset, corrupt: noDamage(), torn: noDamage() }
      : await this.scan(segment, file, header ? SEGMENT_HEADER_BYTES : 0, size, acks);
    const isNothingOfOurs = !header && summary.frames === 0;
    if (isNothingOfOurs && !head.isBlank) return 'foreign';
    add(this.corrupt, summary.corrupt);
    add(this.torn, summary.torn);
    segment.frames = summary.frames;
    segment.spans = summary.spans;
    segment.unscannedFrames = summary.frames - segment.settledFrames;
    segment.unscannedSpans = summary.spans;
    segment.visibleBytes = summary.end;
    segment.bytes = summary.frameEnd + SEAL_BYTES + summary.frames * ACK_BYTES;
    this.lastId = Math.max(this.lastId, summary.lastId);
    this.dateBack(segment, summary.newestMillis);
    return isSealed ? segment : this.repair(segment, file, summary, size);
  }

  /** A clock that was set back in between does not make what came later older than what came before. */
  private dateBack(segment: Segment, newestMillis: number): void {
    if (newestMillis < EARLIEST_MILLIS) return;
    const { clock } = this.options;
    const wallMillis = clock.wallTime();
    if (wallMillis - newestMillis > INCREDIBLE_MILLIS) return;
    this.newestMillis = Math.max(this.newestMillis, Math.min(newestMillis, wallMillis));
    segment.newestAt = clock.now() - (wallMillis - this.newestMillis);
  }

  private async scan(
    segment: Segment,
    file: OpenFile,
    from: number,
    size: number,
    acks: ReadonlySet<number>,
  ): Promise<Summary> {
    let frames = 0;
    let spans = 0;
    let frameEnd = SEGMENT_HEADER_BYTES;
    let lastId = 0;
    let newestMillis = 0;
    const visit = (frame: ScannedFrame) => {
      frames++;
      frameEnd = Math.max(frameEnd, frame.offset + frameBytes(frame));
      if (acks.has(frame.id)) segment.settledFrames++;
      else spans += frame.spanCount;
      lastId = Math.max(lastId, frame.id);
      newestMillis = Math.max(newestMillis, frame.wallMillis);
    };
    const { end, corrupt, torn } = await scanFrames(file, segment.token, from, size, visit);
    return { frames, spans, frameEnd, lastId, newestMillis, end, corrupt, torn };
  }

  async syncDirectory(): Promise<void> {
    const { fileSystem, directory } = this.options;
    if (this.failed) throw this.failed;
    if (this.hasUnsynced) await fileSystem.syncDirectory(directory);
  }

  /** What follows the last intact frame is what a crash has left of an append; and what precedes it may not be durable. */
  private async repair(segment: Segment, source: OpenFile, summary: Summary, size: number): Promise<Segment> {
    const { fileSystem, sync } = this.options;
    const { end } = summary;
    if (end >= size && !sync) return segment;
    this.hasUnsynced ||= sync;
    if (sync && end > SEGMENT_HEADER_BYTES) return this.copy(segment, source, summary);
    try {
      const file = await fileSystem.open(segmentPath(segment), 'update');
      if (end < size) await quietly(file.truncate(end));
      await (sync ? file.sync() : Promise.resolve()).finally(() => quietly(file.close()));
    } catch (error) {
      this.failed ??= error;
    }
    return segment;
  }

  /** A sync of a file that another process has written may say that all is well when it is not: one of its own failed. */
  private async copy(segment: Segment, source: OpenFile, summary: Summary): Promise<Segment> {
    const { fileSystem, directory } = this.options;
    const copy = { ...segment, name: segmentName(this.nextNumber++, segment.token) };
    const { end } = summary;
    try {
      const target = await fileSystem.open(segmentPath(copy), 'create');
      try {
        if ((await copyBytes(source, target, end)) < end)
          throw new Error('a segment became shorter while it was copied');
        await writeFully(target, [encodeSeal({ ...summary, offset: end }, frameKey(segment.token))], end);
        await target.sync();
      } finally {
        await quietly(target.close());
      }
      await fileSystem.syncDirectory(directory);
    } catch (error) {
      await quietly(fileSystem.remove(segmentPath(copy)));
      this.failed ??= error;
      return segment;
    }
    if (segment.hasAcks) await quietly(fileSystem.rename(ackPath(segment), ackPath(copy)));
    await quietly(fileSystem.remove(segmentPath(segment)));
    return copy;
  }

  /** Nothing in it counts. The segment before its notes: without them all of it would come back. */
  private async discard(segment: Segment): Promise<void> {
    const { fileSystem, directory } = this.options;
    const isRemoved = await quietly(fileSystem.remove(segmentPath(segment)));
    if (!isRemoved) this.segments.push(segment);
    else if (segment.hasAcks && (await quietly(fileSystem.syncDirectory(directory)))) {
      await quietly(fileSystem.remove(ackPath(segment)));
    }
  }
}

async function readSeal(file: OpenFile, size: number, key: FrameKey): Promise<Seal | undefined> {
  const offset = size - SEAL_BYTES;
  if (offset < SEGMENT_HEADER_BYTES) return undefined;
  const seal = decodeSeal(await readFully(file, offset, SEAL_BYTES), key);
  return seal?.offset === offset && isPlausible(seal) ? seal : undefined;
}

/** More than there is room for would be lost with the numbers: the frames are looked at then. */
const isPlausible = ({ frames, spans, offset }: Seal): boolean =>
  frames > 0 && SEGMENT_HEADER_BYTES + frames * FRAME_HEADER_BYTES <= offset && spans <= offset;

function add(sum: Damage, damage: Damage): void {
  sum.bytes += damage.bytes;
  sum.frames += damage.frames;
  sum.spans += damage.spans;
}
