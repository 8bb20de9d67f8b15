import { type FileSystem, type OpenFile, SpanBatch } from '@otel-resilience/core';
import { readAcks } from './ack-file.js';
import { isMissing, quietly } from './file-errors.js';
import { decodeSeal, frameKey, SEAL_BYTES, SEGMENT_HEADER_BYTES, type SegmentHeader } from './frame.js';
import { frameBytes } from './pending-frame.js';
import { ACK_BYTES, ackPath, newSegment, type Segment, tokenOf } from './segment.js';
import {
  type Damage,
  noDamage,
  readBodies,
  readFully,
  readHead,
  type ScannedFrame,
  scanFrames,
} from './segment-reader.js';

/** Frames, the bytes they take, and the spans in them. */
export type FsckCount = Readonly<Damage>;

/**
 * What is wrong with a segment. `header`: its first 32 bytes; `corrupt`: frames, or what lies between them; `torn`: what
 * follows the last whole frame; `repeated`: frames that are there already, here or in an earlier segment; `seal`: it does
 * not say what is there; `notes`: of frames that are not in it; `unreadable`: the file system gives no answer.
 */
export type FsckProblem = 'header' | 'corrupt' | 'torn' | 'repeated' | 'seal' | 'notes' | 'unreadable';

export interface FsckSegment {
  readonly path: string;
  /** Of the file. */
  readonly bytes: number;
  /** Intact, and still to be sent. */
  readonly waiting: FsckCount;
  /** Intact, and sent or given up. */
  readonly settled: FsckCount;
  /** Spans as far as a header or the seal still tells them. */
  readonly corrupt: FsckCount;
  readonly torn: FsckCount;
  readonly repeated: FsckCount;
  /** Notes of settled frames, and how many of them speak of nothing that is in the segment. */
  readonly notes: { readonly records: number; readonly stray: number };
  /** Empty: there is nothing to repair. */
  readonly problems: readonly FsckProblem[];
  readonly error?: Error;
  /** With `repair`: whether the problems are gone. */
  readonly repaired?: boolean;
}

export interface ExaminedSegment {
  readonly report: FsckSegment;
  readonly segment: Segment;
  readonly header: SegmentHeader | undefined;
  /** Intact, not settled and not repeated: what is worth saving. */
  readonly frames: readonly ScannedFrame[];
}

/** Ids that were found intact before, by the token of their segment: of segments of which there is a copy. */
export type KnownFrames = ReadonlyMap<bigint, Set<number>>;

/** Reads all of a segment, body by body: `foreign` where it is none of ours, `undefined` where it is gone. */
export async function examineSegment(
  fileSystem: FileSystem,
  directory: string,
  name: string,
  hasNotes: boolean,
  known: KnownFrames,
): Promise<ExaminedSegment | 'foreign' | undefined> {
  const path = `${directory}/${name}`;
  try {
    const file = await fileSystem.open(path, 'read');
    try {
      return await new Examination(fileSystem, file, directory, name).run(hasNotes, known);
    } finally {
      await quietly(file.close());
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    const nothing = { waiting: none(), settled: none(), corrupt: none(), torn: none(), repeated: none() };
    const notes = { records: 0, stray: 0 };
    const report: FsckSegment = { path, bytes: 0, ...nothing, notes, problems: ['unreadable'], error: error as Error };
    return { report, segment: newSegment(name, directory, tokenOf(name), 0), header: undefined, frames: [] };
  }
}

class Examination {
  private readonly fileSystem: FileSystem;
  private readonly file: OpenFile;
  private readonly directory: string;
  private readonly name: string;
  private readonly waiting = noDamage();
  private readonly settled = noDamage();
  private readonly corrupt = noDamage();
  private readonly repeated = noDamage();
  private readonly problems = new Set<FsckProblem>();
  private noted: ReadonlySet<number> = new Set();

  constructor(fileSystem: FileSystem, file: OpenFile, directory: string, name: string) {
    this.fileSystem = fileSystem;
    this.file = file;
    this.directory = directory;
    this.name = name;
  }

  async run(hasNotes: boolean, known: KnownFrames): Promise<ExaminedSegment | 'foreign'> {
    const { file, waiting, settled, corrupt, repeated, problems } = this;
    const head = await readHead(file, this.name);
    if (!head) return 'foreign';
    const { header, token } = head;
    const segment = newSegment(this.name, this.directory, token, 0);
    // Before the frames: while the segment is written to, each note is of a frame that is there already.
    const records = hasNotes ? await this.readNotes(segment) : 0;
    // Less than a header is one that is being written, or was.
    const bytes = head.bytes < SEGMENT_HEADER_BYTES ? head.bytes : await file.size();
    const frames: ScannedFrame[] = [];
    let seals = 0;
    const scan = await scanFrames(
      file,
      token,
      header ? SEGMENT_HEADER_BYTES : 0,
      bytes,
      (frame) => frames.push(frame),
      (passedOver) => (passedOver.isSeal ? seals++ : add(repeated, passedOver)),
    );
    if (!header && frames.length === 0 && !head.isBlank) return 'foreign';
    const matched = frames.filter(({ id }) => this.noted.has(id)).length;
    const notes = { records, stray: Math.max(0, records - matched) };
    const saved = await this.verify(frames, known.get(token));
    corrupt.bytes += scan.corrupt.bytes;
    corrupt.frames += scan.corrupt.frames;
    await this.checkSeal(token, bytes, frames, seals);
    if (!header && bytes >= SEGMENT_HEADER_BYTES) problems.add('header');
    if (corrupt.frames > 0) problems.add('corrupt');
    const { torn } = scan;
    if (torn.bytes > 0 || bytes === 0) problems.add('torn');
    if (repeated.frames > 0) problems.add('repeated');
    if (notes.stray > 0) problems.add('notes');
    const report = { path: `${this.directory}/${this.name}`, bytes, waiting, settled, corrupt, torn, repeated, notes };
    return { report: { ...report, problems: [...problems] }, segment, header, frames: saved };
  }

  /** Sorts the frames by what they are; returns those to be saved. One body at a time is in memory. */
  private async verify(frames: readonly ScannedFrame[], known: Set<number> | undefined): Promise<ScannedFrame[]> {
    const saved: ScannedFrame[] = [];
    for (const frame of frames) {
      const [body] = await readBodies(this.file, [frame]);
      if (!body || !isRequestOf(body, frame.spanCount)) add(this.corrupt, frame);
      else if (known?.has(frame.id)) add(this.repeated, frame);
      else {
        known?.add(frame.id);
        if (this.noted.has(frame.id)) add(this.settled, frame);
        else {
          add(this.waiting, frame);
          saved.push(frame);
        }
      }
    }
    return saved;
  }

  /** Returns how many there are, as many of them as mean nothing too. */
  private async readNotes(segment: Segment): Promise<number> {
    const { fileSystem } = this;
    try {
      const file = await fileSystem.open(ackPath(segment), 'read');
      const records = Math.floor((await file.size().finally(() => quietly(file.close()))) / ACK_BYTES);
      this.noted = await readAcks(fileSystem, segment);
      return records;
    } catch (error) {
      if (isMissing(error)) return 0;
      throw error;
    }
  }

  /** Where frames are damaged it says how many spans there were; where none is, it has to agree. */
  private async checkSeal(token: bigint, bytes: number, frames: readonly ScannedFrame[], seals: number): Promise<void> {
    const { corrupt, problems } = this;
    const offset = bytes - SEAL_BYTES;
    const last = offset >= SEGMENT_HEADER_BYTES ? await readFully(this.file, offset, SEAL_BYTES) : undefined;
    const read = last && decodeSeal(last, frameKey(token));
    const seal = read?.offset === offset ? read : undefined;
    if (!seal) {
      if (seals > 0) problems.add('seal');
      return;
    }
    const spans = frames.reduce((sum, { spanCount }) => sum + spanCount, 0);
    if (corrupt.frames > 0 && seal.frames >= frames.length) corrupt.spans += Math.max(0, seal.spans - spans);
    else if (
      seal.frames !== frames.length ||
      seal.spans !== spans ||
      seal.lastId !== (frames.at(-1)?.id ?? seal.lastId)
    ) {
      problems.add('seal');
    }
  }
}

const none = (): FsckCount => noDamage();

function add(count: Damage, frame: { readonly bodyBytes: number; readonly spanCount: number }): void {
  count.frames++;
  count.bytes += frameBytes(frame);
  count.spans += frame.spanCount;
}

/** What the spool would send. */
function isRequestOf(body: Buffer, spanCount: number): boolean {
  try {
    return SpanBatch.fromBytes([body]).spanCount === spanCount;
  } catch {
    return false;
  }
}
