import { crc32 } from 'node:zlib';
import { SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { DIRECTORY, diskWith, drain, type Files, filesOf, flipped, layout } from './damaged-spool.test-support.js';
import { Spool } from './disk-spool.js';
import { FRAME_HEADER_BYTES, newToken, SEGMENT_HEADER_BYTES } from './frame.js';
import { fsck } from './fsck.js';
import { listSpool } from './list-spool.js';
import { numberOf, segmentName, tokenOf } from './segment.js';

const batch = (name: string, attributes = {}) => SpanBatch.fromSpans([fakeSpan({ name, attributes, events: [] })]);
const FORGED = batch('forged');

async function written(batches: readonly SpanBatch[], how: 'finished' | 'killed' = 'finished'): Promise<Files> {
  const disk = new FaultyDisk({ seed: 1 });
  const spool = new Spool({ directory: DIRECTORY, fileSystem: disk });
  for (const each of batches) await spool.append(each);
  const left = disk.kill();
  await spool.shutdown();
  return filesOf(how === 'finished' ? disk : left);
}

/** A process has come and gone. */
async function touched(disk: FaultyDisk): Promise<FaultyDisk> {
  const spool = new Spool({ directory: DIRECTORY, fileSystem: disk });
  await spool.open();
  await spool.shutdown();
  return disk;
}

const moved = (files: Files, directory: string): Files =>
  new Map([...files].map(([name, bytes]) => [`${directory}/${name}`, bytes]));

const segmentIn = (files: Files) => [...files].find(([name]) => name.endsWith('.seg'))!;

/** Everything of a frame that can be known without having seen its segment. */
function withRightChecksums(mark: Uint8Array, startCrc = 0): Buffer {
  const body = Buffer.concat(FORGED.otlp());
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  Buffer.from(mark).copy(header);
  header.writeUInt32LE(body.byteLength, 8);
  header.writeUInt32LE(1, 12);
  // Higher than any that may come: all that follows would be passed over.
  header.writeBigUInt64LE(2n ** 40n, 16);
  header.writeBigUInt64LE(BigInt(Date.now()), 24);
  header.writeUInt32LE(crc32(body), 32);
  header.writeUInt32LE(crc32(header.subarray(8), startCrc), 4);
  return Buffer.concat([header, body]);
}

const withToken = (token: Buffer) => withRightChecksums(token.subarray(0, 4), crc32(token));

/** A frame of a segment, as it is found in it. */
async function copied(): Promise<Buffer> {
  const before = Array.from({ length: 9 }, (_, index) => batch(`before ${index}`));
  const [, bytes] = segmentIn(await written([...before, FORGED]));
  const { begin, end } = layout(bytes).at(-1)!;
  return Buffer.from(bytes.subarray(begin, end));
}

const segmentHead = async () => Buffer.from(segmentIn(await written([FORGED]))[1].subarray(0, SEGMENT_HEADER_BYTES));

describe.each<[string, () => Buffer | Promise<Buffer>]>([
  ['was taken from another segment', copied],
  ['has the right plain checksums', () => withRightChecksums(Buffer.from('ORFM'))],
  ['has the token of another segment', async () => withToken((await segmentHead()).subarray(20, 28))],
  ['comes with a whole segment around it', async () => Buffer.concat([await segmentHead(), await copied()])],
])('a frame in an attribute of a span, which %s', (_, make) => {
  it.each(['finished', 'killed'] as const)('is never taken for a frame (%s)', async (how) => {
    const forged = await make();
    const bait = batch('bait', { bytes: forged, again: forged });
    const files = await written([batch('first'), bait, batch('last')], how);
    const [name, bytes] = segmentIn(files);
    const [first, second] = layout(bytes);
    const embedded = Buffer.from(bytes).indexOf(forged);
    expect(embedded).toBeGreaterThan(second!.begin + FRAME_HEADER_BYTES);
    const isFirstLost = [false, false, true, true, false];
    const damages: Files[] = [
      flipped(files, name, second!.begin + 10),
      flipped(files, name, second!.begin),
      flipped(flipped(files, name, second!.begin + 10), name, first!.begin + 10),
      // All before it is lost, as if a sector was.
      new Map([
        [
          name,
          Buffer.concat([
            Buffer.alloc(second!.begin + FRAME_HEADER_BYTES),
            bytes.subarray(second!.begin + FRAME_HEADER_BYTES),
          ]),
        ],
      ]),
      // The token with it.
      flipped(flipped(files, name, second!.begin + 10), name, 25),
    ];
    for (const [index, damaged] of damages.entries()) {
      const expected = isFirstLost[index] ? ['last'] : ['first', 'last'];
      const { names, stats } = await drain(await diskWith(damaged));
      expect(names).toEqual(expected);
      expect(stats.balanced).toBe(true);
      const listed = await listSpool({ directory: DIRECTORY, fileSystem: await diskWith(damaged) });
      expect(listed.directories[0]!.segments[0]).toMatchObject({ frames: expected.length, spans: expected.length });
      const disk = await diskWith(damaged);
      const looked = await fsck({ directory: DIRECTORY, fileSystem: disk });
      expect(looked.waiting.spans).toBe(expected.length);
      const repaired = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
      expect(repaired).toMatchObject({ clean: true, waiting: { spans: expected.length } });
      expect((await drain(disk)).names).toEqual(expected);
    }
  });

  it.each<[string, (files: Files) => Promise<FaultyDisk>]>([
    ['copied by the next start', async (files) => touched(await diskWith(files))],
    ['adopted', async (files) => touched(await diskWith(moved(files, 'p-4711-0123456789abcdef')))],
    [
      'repaired',
      async (files) => {
        const [name, bytes] = segmentIn(files);
        const disk = await diskWith(flipped(files, name, layout(bytes)[0]!.begin + 50));
        expect(await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true })).toMatchObject({ clean: true });
        return disk;
      },
    ],
  ])('nor is it after the segment was %s', async (how, move) => {
    const forged = await make();
    const files = await written(
      ['first', 'second'].map((name) => batch(name)).concat(batch('bait', { bytes: forged }), batch('last')),
      'killed',
    );
    const after = filesOf(await move(files));
    const [name, bytes] = segmentIn(after);
    expect(numberOf(name)).toBe(how === 'repaired' ? 1 : 2);
    expect(tokenOf(name)).toBe(tokenOf(segmentIn(files)[0]));
    const embedded = Buffer.from(bytes).indexOf(forged);
    const { begin } = layout(bytes).find(({ end }) => end > embedded)!;
    const expected = how === 'repaired' ? ['second', 'last'] : ['first', 'second', 'last'];
    for (const damaged of [flipped(after, name, begin + 10), flipped(flipped(after, name, begin + 10), name, 25)]) {
      expect((await drain(await diskWith(damaged))).names).toEqual(expected);
    }
  });
});

it('leaves alone a segment whose header is damaged and whose name was changed, until it has its name again', async () => {
  const files = await written([batch('first'), batch('last')]);
  const [name] = segmentIn(files);
  const damaged = flipped(files, name, 25);
  const changed = segmentName(3, newToken());
  const disk = await diskWith(new Map([[changed, damaged.get(name)!]]));
  const { foreign } = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
  expect(foreign).toEqual([`${DIRECTORY}/${changed}`]);
  expect((await drain(disk)).status.foreign).toEqual([changed]);
  await disk.rename(`${DIRECTORY}/${changed}`, `${DIRECTORY}/${name}`);
  expect((await drain(disk)).names).toEqual(['first', 'last']);
});
