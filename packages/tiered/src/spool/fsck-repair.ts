import type { FileSystem, OpenFile } from '@otel-resilience/core';
import { copyBytes } from './copy-bytes.js';
import { isMissing, quietly } from './file-errors.js';
import { encodeSeal, encodeSegmentHeader, FRAME_HEADER_BYTES, frameKey } from './frame.js';
import type { ExaminedSegment } from './fsck-segment.js';
import { newLockToken } from './lock-owner.js';
import { ackPath, numberAfter, numberOf, SEGMENT_NAME, type Segment, segmentName, segmentPath } from './segment.js';
import { readBodies, readFully, type ScannedFrame } from './segment-reader.js';
import { writeFully } from './segment-writer.js';

/** A segment that is being written; nobody takes it for one. */
const DRAFT_NAME = /^fsck-[0-9a-f]{16}\.new$/;

/** Puts segments in order, each on its own; whenever it is stopped, every intact frame is in the spool's directory. */
export class SegmentRepair {
  private readonly fileSystem: FileSystem;
  private readonly quarantine: string;
  private isPrepared = false;
  private nextNumber = 1;

  constructor(fileSystem: FileSystem, quarantine: string) {
    this.fileSystem = fileSystem;
    this.quarantine = quarantine;
  }

  /**
   * Its intact frames that wait take its place, at once; before that a copy of it as it was is in the quarantine, which
   * the replacement would otherwise destroy. Notes of the old one speak of nothing that is in the new one.
   *
   * @throws the file system's errors; then the segment is as it was, or has been repaired.
   */
  async repair({ segment, header, frames }: ExaminedSegment): Promise<void> {
    const { fileSystem } = this;
    await this.prepare();
    await this.keepCopy(segment);
    if (frames.length === 0) await fileSystem.remove(segmentPath(segment));
    else await this.replace(segment, header?.createdMillis ?? frames[0]!.wallMillis, frames);
    await fileSystem.syncDirectory(segment.directory);
    await fileSystem.remove(ackPath(segment)).catch(unlessMissing);
  }

  private async prepare(): Promise<void> {
    if (this.isPrepared) return;
    const { fileSystem, quarantine } = this;
    await fileSystem.makeDirectory(quarantine);
    await fileSystem.syncDirectory(quarantine.slice(0, quarantine.lastIndexOf('/')) || '/');
    const names = await fileSystem.list(quarantine);
    for (const name of names.filter((each) => DRAFT_NAME.test(each))) {
      await fileSystem.remove(`${quarantine}/${name}`).catch(unlessMissing);
    }
    this.nextNumber = numberAfter(names.filter((name) => SEGMENT_NAME.test(name)));
    this.isPrepared = true;
  }

  private async keepCopy(segment: Segment): Promise<void> {
    const { fileSystem } = this;
    const from = await fileSystem.open(segmentPath(segment), 'read');
    try {
      await this.write(`${this.quarantine}/${segmentName(this.nextNumber++, segment.token)}`, async (to) => {
        await copyBytes(from, to, await from.size());
      });
    } finally {
      await quietly(from.close());
    }
  }

  private async replace(segment: Segment, createdMillis: number, frames: readonly ScannedFrame[]): Promise<void> {
    const { fileSystem } = this;
    const draft = `${this.quarantine}/fsck-${newLockToken()}.new`;
    const from = await fileSystem.open(segmentPath(segment), 'read');
    try {
      await this.write(draft, (to) => copyFrames(from, to, segment, createdMillis, frames));
      await fileSystem.rename(draft, segmentPath(segment));
    } catch (error) {
      await quietly(fileSystem.remove(draft));
      throw error;
    } finally {
      await quietly(from.close());
    }
  }

  /** Durable when it resolves; not there when it rejects. */
  private async write(path: string, fill: (file: OpenFile) => Promise<void>): Promise<void> {
    const { fileSystem, quarantine } = this;
    const file = await fileSystem.open(path, 'create');
    try {
      await fill(file).then(() => file.sync());
    } catch (error) {
      await quietly(fileSystem.remove(path));
      throw error;
    } finally {
      await quietly(file.close());
    }
    await fileSystem.syncDirectory(quarantine);
  }
}

async function copyFrames(
  from: OpenFile,
  to: OpenFile,
  { name, token }: Segment,
  createdMillis: number,
  frames: readonly ScannedFrame[],
): Promise<void> {
  const header = encodeSegmentHeader({ number: numberOf(name), createdMillis, token });
  let offset = await writeFully(to, [header], 0);
  let spans = 0;
  let newestMillis = 0;
  for (const frame of frames) {
    const [body] = await readBodies(from, [frame]);
    if (!body) throw new Error(`frame ${frame.id} was intact a moment ago, and is not any more`);
    const head = await readFully(from, frame.offset, FRAME_HEADER_BYTES);
    offset = await writeFully(to, [head, body], offset);
    spans += frame.spanCount;
    newestMillis = Math.max(newestMillis, frame.wallMillis);
  }
  const sums = { frames: frames.length, spans, lastId: frames.at(-1)!.id, newestMillis, offset };
  await writeFully(to, [encodeSeal(sums, frameKey(token))], offset);
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
