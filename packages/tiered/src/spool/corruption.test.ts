import { describe, expect, it } from 'vitest';
import {
  DIRECTORY,
  diskWith,
  drain,
  type Files,
  filesOf,
  flipped,
  keyOf,
  layout,
  namesOf,
  SPANS_PER_FRAME,
  segmentsOf,
  withBytes,
  writtenSpool,
} from './damaged-spool.test-support.js';
import { decodeSeal, encodeSeal, FRAME_HEADER_BYTES, newToken, SEAL_BYTES, SEGMENT_HEADER_BYTES } from './frame.js';
import { type FsckReport, fsck } from './fsck.js';
import { ACK_BYTES, ackName, numberOf, renumbered, segmentName } from './segment.js';

const FRAMES = 4;
const ALL = Array.from({ length: FRAMES }, (_, index) => index + 1);
const without = (...frames: readonly number[]) => namesOf(...ALL.filter((frame) => !frames.includes(frame)));

/** What is intact is received, and nothing else; the rest is counted; fsck says so, and puts it in order. */
async function expectRecovered(
  damaged: Files,
  names: readonly string[],
  { isHarmless = false } = {},
): Promise<FsckReport> {
  const found = await fsck({ directory: DIRECTORY, fileSystem: await diskWith(damaged) });
  expect(found.waiting.spans).toBe(names.length);

  const drained = await drain(await diskWith(damaged));
  expect(drained.names).toEqual(names);
  const { accepted, recovered, waiting, delivered, dropped, balanced } = drained.stats;
  expect({ accepted, waiting, delivered, balanced }).toEqual({
    accepted: 0,
    waiting: 0,
    delivered: names.length,
    balanced: true,
  });
  expect(recovered - (dropped.corrupt ?? 0)).toBe(names.length);
  const { corrupt, torn } = drained.status;
  expect(corrupt.frames + torn.frames).toBe(found.corrupt.frames + found.torn.frames);
  expect(Math.min(corrupt.bytes, torn.bytes)).toBeGreaterThanOrEqual(0);

  const disk = await diskWith(damaged);
  const repaired = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
  expect(repaired.clean).toBe(true);
  expect(repaired.waiting).toEqual(found.waiting);
  const again = await fsck({ directory: DIRECTORY, fileSystem: disk });
  expect(again).toMatchObject({ clean: true, waiting: { frames: found.waiting.frames, spans: names.length } });
  expect(again.quarantine.segments).toBe(
    found.directories[0]!.segments.filter(({ problems }) => problems.length > 0).length,
  );
  const after = await drain(disk);
  expect([...after.names].sort()).toEqual([...names].sort());
  expect(after.status).toMatchObject({ corrupt: { frames: 0 }, torn: { frames: 0 } });
  expect(after.stats.dropped.corrupt ?? 0).toBe(0);
  if (!isHarmless) {
    expect(found.clean).toBe(false);
  }
  return found;
}

const single = await writtenSpool(FRAMES, []);
const [name] = segmentsOf(single) as [string];
const bytes = Buffer.from(single.get(name)!);
const frames = layout(bytes);
const unfinished = withBytes(single, name, (all) => all.subarray(0, -SEAL_BYTES));

describe('a segment in which each byte is flipped, one after the other', () => {
  const frameAt = (offset: number) => frames.findIndex(({ begin, end }) => offset >= begin && offset < end) + 1;

  it.each([
    ['finished', single],
    ['unfinished', unfinished],
  ])('gives back every other frame (%s)', async (_, files) => {
    expect(frames).toHaveLength(FRAMES);
    for (let offset = 0; offset < files.get(name)!.byteLength; offset++) {
      const frame = frameAt(offset);
      const found = await expectRecovered(flipped(files, name, offset), without(frame));
      expect(found.corrupt.frames + found.torn.frames, `byte ${offset}`).toBe(isInSealBody(offset) ? 0 : 1);
    }
  });

  const isInSealBody = (offset: number) => offset >= bytes.byteLength - SEAL_BYTES + FRAME_HEADER_BYTES;

  it.each([0x01, 0x80, 0xff])('gives back every other frame, with all bits of mask %i', async (mask) => {
    for (let offset = 0; offset < bytes.byteLength; offset += 13) {
      await expectRecovered(flipped(single, name, offset, mask), without(frameAt(offset)));
    }
  });
});

describe('a segment that is cut at each byte', () => {
  it('gives back every frame before the cut', async () => {
    for (let length = 0; length < bytes.byteLength; length++) {
      const whole = frames.filter(({ end }) => end <= length).length;
      const isAtEnd = length === SEGMENT_HEADER_BYTES || frames.some(({ end }) => end === length);
      const cut = withBytes(single, name, (all) => all.subarray(0, length));
      const found = await expectRecovered(cut, namesOf(...ALL.slice(0, whole)), { isHarmless: isAtEnd });
      expect(found.torn.bytes, `cut at ${length}`).toBe(
        isAtEnd
          ? 0
          : length < SEGMENT_HEADER_BYTES
            ? length
            : length - (frames[whole - 1]?.end ?? SEGMENT_HEADER_BYTES),
      );
    }
  });

  it('gives back every frame but the one out of which bytes are missing', async () => {
    const { begin, end } = frames[2]!;
    for (let at = begin; at < end; at += 3) {
      const missing = 1 + (at % 17);
      const cut = withBytes(single, name, (all) =>
        Buffer.concat([all.subarray(0, at), all.subarray(Math.min(end, at + missing))]),
      );
      await expectRecovered(cut, without(3));
    }
  });
});

describe('what may become of a frame', () => {
  const { begin, end } = frames[2]!;
  const body = begin + FRAME_HEADER_BYTES;
  it.each<[string, (all: Buffer) => Uint8Array | undefined]>([
    ['its length is zeroed', (all) => void all.fill(0, begin + 8, begin + 12)],
    ['its length says the rest of the file', (all) => void all.writeUInt32LE(all.byteLength, begin + 8)],
    ['its length says 4 GiB', (all) => void all.writeUInt32LE(2 ** 32 - 1, begin + 8)],
    ['its count of spans is zeroed', (all) => void all.fill(0, begin + 12, begin + 16)],
    [
      'its id is that of the one before',
      (all) => void all.copy(all, begin + 16, frames[1]!.begin + 16, frames[1]!.begin + 24),
    ],
    ['its header is zeroed', (all) => void all.fill(0, begin, body)],
    [
      'its header is that of the one before',
      (all) => void all.copy(all, begin, frames[1]!.begin, frames[1]!.begin + 40),
    ],
    ['its header is missing', (all) => Buffer.concat([all.subarray(0, begin), all.subarray(body)])],
    ['its body is zeroed', (all) => void all.fill(0, body, end)],
    ['its body is missing', (all) => Buffer.concat([all.subarray(0, body), all.subarray(end)])],
    ['all of it is zeroed', (all) => void all.fill(0, begin, end)],
    ['half of its body is missing', (all) => Buffer.concat([all.subarray(0, (body + end) >> 1), all.subarray(end)])],
  ])('%s: every other one is given back', async (_, change) => {
    for (const files of [single, unfinished]) await expectRecovered(withBytes(files, name, change), without(3));
  });

  it('is there twice: it is given back once', async () => {
    const twice = withBytes(unfinished, name, (all) =>
      Buffer.concat([all.subarray(0, end), all.subarray(begin, end), all.subarray(end)]),
    );
    const found = await expectRecovered(twice, namesOf(...ALL));
    expect(found.repeated).toMatchObject({ frames: 1, spans: SPANS_PER_FRAME });
  });

  it('has changed places with the next one: one of them is passed over, the rest is given back', async () => {
    const next = frames[3]!;
    const swapped = withBytes(unfinished, name, (all) =>
      Buffer.concat([
        all.subarray(0, begin),
        all.subarray(next.begin, next.end),
        all.subarray(begin, end),
        all.subarray(next.end),
      ]),
    );
    await expectRecovered(swapped, namesOf(1, 2, 4));
  });
});

describe('a seal that lies', () => {
  const offset = bytes.byteLength - SEAL_BYTES;
  const truth = decodeSeal(bytes.subarray(offset), keyOf(bytes))!;
  it.each([
    ['has more frames and spans than there are', { frames: FRAMES + 2, spans: FRAMES * SPANS_PER_FRAME + 7 }],
    ['has fewer frames and spans than there are', { frames: FRAMES - 2, spans: 1 }],
    ['knows of no frames', { frames: 0, spans: 0, lastId: 0 }],
    ['has fewer spans in as many frames', { spans: FRAMES * SPANS_PER_FRAME - 1 }],
    ['has more frames with as many spans', { frames: FRAMES + 1 }],
    ['has more spans than numbers go', { frames: Number.MAX_SAFE_INTEGER, spans: Number.MAX_SAFE_INTEGER }],
    ['has another last id', { lastId: truth.lastId + 100 }],
  ])('%s: every frame is given back', async (_, lies) => {
    const seal = encodeSeal({ ...truth, ...lies }, keyOf(bytes));
    const lying = withBytes(single, name, (all) => Buffer.concat([all.subarray(0, offset), seal]));
    const found = await expectRecovered(lying, namesOf(...ALL));
    expect(found.directories[0]!.segments[0]!.problems).toEqual(['seal']);
  });
});

describe('files that are not where they were', () => {
  it('gives back everything of segments that have changed names', async () => {
    const files = await writtenSpool(6, [], { framesPerSegment: 2 });
    const [first, second, third] = segmentsOf(files) as [string, string, string];
    const reordered = new Map([
      [first, files.get(third)!],
      [second, files.get(first)!],
      [third, files.get(second)!],
    ]);
    await expectRecovered(reordered, namesOf(5, 6, 1, 2, 3, 4), { isHarmless: true });
  });

  it('gives back a segment that is there twice as often as it is there; fsck finds the copy, and repairs it', async () => {
    const copy = renumbered(name, numberOf(name) + 7);
    const files = new Map([...single, [copy, bytes]]);
    expect([...(await drain(await diskWith(files))).names].sort()).toEqual(
      [...namesOf(...ALL), ...namesOf(...ALL)].sort(),
    );
    const disk = await diskWith(files);
    const found = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(found).toMatchObject({ clean: true, waiting: { frames: FRAMES }, repeated: { frames: FRAMES } });
    expect((await drain(disk)).names).toEqual(namesOf(...ALL));
  });

  it('saves of a copy what is damaged in the original', async () => {
    const copy = renumbered(name, numberOf(name) + 7);
    const disk = await diskWith(new Map([...flipped(single, name, frames[2]!.begin + 50), [copy, bytes]]));
    const found = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(found).toMatchObject({ clean: true, waiting: { frames: FRAMES }, repeated: { frames: FRAMES - 1 } });
    expect([...(await drain(disk)).names].sort()).toEqual(namesOf(...ALL));
  });

  it('leaves alone, and reports, what is not ours', async () => {
    const foreign = segmentName(99, newToken());
    const odd = 'ffffffffffffffff.seg';
    const files = new Map([
      ...single,
      [foreign, Buffer.alloc(200, 'not a segment')],
      [odd, Buffer.from('odd')],
      ['notes.txt', Buffer.from('hello')],
    ]);
    const disk = await diskWith(files);
    const found = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(found.clean).toBe(true);
    expect([...found.foreign].sort()).toEqual([foreign, odd, 'notes.txt'].map((each) => `${DIRECTORY}/${each}`).sort());
    const { names, status } = await drain(disk);
    expect(names).toEqual(namesOf(...ALL));
    expect(status).toMatchObject({ torn: { bytes: 0, frames: 0 }, corrupt: { bytes: 0, frames: 0 } });
    expect([...status.foreign].sort()).toEqual([foreign, odd, 'notes.txt'].sort());
    for (const each of [foreign, odd, 'notes.txt']) expect(disk.contents().has(`${DIRECTORY}/${each}`)).toBe(true);
  });
});

describe('notes of settled frames', () => {
  it('are damaged at any byte: what waits is given back, and at most what is settled once more', async () => {
    for (const killed of [false, true]) {
      const files = await writtenSpool(FRAMES, [2, 4], { killed });
      const ack = ackName(segmentsOf(files)[0]!);
      expect(files.get(ack)!.byteLength).toBe(2 * ACK_BYTES);
      expect((await drain(await diskWith(files))).names).toEqual(without(2, 4));
      for (let offset = 0; offset < 2 * ACK_BYTES; offset++) {
        const back = offset < ACK_BYTES ? 4 : 2;
        await expectRecovered(flipped(files, ack, offset), without(back));
        const cut = withBytes(files, ack, (all) => all.subarray(0, offset));
        await expectRecovered(cut, offset < ACK_BYTES ? without() : without(2), { isHarmless: true });
      }
    }
  });

  it('speak of frames that are not there: of no consequence', async () => {
    const files = await writtenSpool(FRAMES, [3, 4], { killed: true });
    const segment = segmentsOf(files)[0]!;
    const cut = withBytes(files, segment, (all) => all.subarray(0, frames[1]!.end));
    const found = await expectRecovered(cut, namesOf(1, 2));
    expect(found.directories[0]!.segments[0]).toMatchObject({ problems: ['notes'], notes: { records: 2, stray: 2 } });
  });

  it('are of another segment: they count for nothing', async () => {
    const files = await writtenSpool(4, [1, 3], { framesPerSegment: 2 });
    const [first, second] = segmentsOf(files) as [string, string];
    const [firstAck, secondAck] = [first, second].map(ackName) as [string, string];
    const swapped = new Map([...files, [firstAck, files.get(secondAck)!], [secondAck, files.get(firstAck)!]]);
    await expectRecovered(swapped, namesOf(1, 2, 3, 4));
  });

  it('are there without their segment: they go', async () => {
    const files = await writtenSpool(FRAMES, [2]);
    const orphan = ackName(segmentName(77, newToken()));
    const disk = await diskWith(new Map([...single, [orphan, [...files.values()].at(-1)!]]));
    const found = await fsck({ directory: DIRECTORY, fileSystem: disk });
    expect(found).toMatchObject({ clean: false, directories: [{ orphanedNotes: [`${DIRECTORY}/${orphan}`] }] });
    expect(await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true })).toMatchObject({ clean: true });
    expect([...filesOf(disk).keys()]).toEqual([name]);
    expect((await drain(disk)).names).toEqual(namesOf(...ALL));
  });
});
