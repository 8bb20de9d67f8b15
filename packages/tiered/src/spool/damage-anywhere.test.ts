import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DIRECTORY,
  diskWith,
  drain,
  type Files,
  layout,
  namesOf,
  SPANS_PER_FRAME,
  segmentsOf,
  withBytes,
  writtenSpool,
} from './damaged-spool.test-support.js';
import { fsck } from './fsck.js';
import { ACK_BYTES, ackName } from './segment.js';

describe('any damage at all', () => {
  type Damage = { file: number; at: number; length: number; to: 'zeros' | 'ones' | 'noise' | 'the end' };
  const damage: fc.Arbitrary<Damage> = fc.record({
    file: fc.nat(99),
    at: fc.nat(1_500),
    length: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 600 })),
    to: fc.constantFrom('zeros' as const, 'ones' as const, 'noise' as const, 'noise' as const, 'the end' as const),
  });

  function apply(files: Files, { file, at, length, to }: Damage): Files {
    const names = [...files.keys()].sort();
    return withBytes(files, names[file % names.length]!, (all) => {
      const begin = at % (all.byteLength + 1);
      if (to === 'the end') return all.subarray(0, begin);
      const part = all.subarray(begin, begin + length);
      for (let i = 0; i < part.byteLength; i++)
        part[i] = to === 'zeros' ? 0 : to === 'ones' ? 255 : part[i]! ^ (i + at + 1);
      return all;
    });
  }

  /** Whether `length` bytes from `at` on are what they were. */
  const isSame = (before: Uint8Array, after: Uint8Array, at: number, end: number) =>
    end <= after.byteLength && Buffer.compare(before.subarray(at, end), after.subarray(at, end)) === 0;

  it('every intact frame is given back that is not settled, nothing else, and the spool is clean after a repair', async () => {
    const settled = [2, 4, 5];
    const files = await writtenSpool(8, settled, { framesPerSegment: 3, killed: true });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
        const damaged = damages.reduce(apply, files);
        const expected: number[] = [];
        const possible: number[] = [];
        for (const [index, segment] of segmentsOf(files).entries()) {
          const [before, after] = [files.get(segment)!, damaged.get(segment)!];
          const [notes, notesAfter] = [files, damaged].map((each) => each.get(ackName(segment))) as Uint8Array[];
          let note = 0;
          for (const [nth, { begin, end }] of layout(before).entries()) {
            const frame = index * 3 + nth + 1;
            const isSettled = settled.includes(frame);
            const isNoted = isSettled && isSame(notes!, notesAfter!, note, note + ACK_BYTES);
            if (isSettled) note += ACK_BYTES;
            if (!isSame(before, after, begin, end)) continue;
            possible.push(frame);
            if (!isNoted) expected.push(frame);
          }
        }
        const { names, stats } = await drain(await diskWith(damaged));
        expect(names).toEqual(namesOf(...expected));
        expect(stats).toMatchObject({ waiting: 0, delivered: expected.length * SPANS_PER_FRAME, balanced: true });

        const disk = await diskWith(damaged);
        const found = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
        expect(found).toMatchObject({ clean: true, waiting: { frames: expected.length } });
        expect(found.settled.frames).toBe(possible.length - expected.length);
        const again = await fsck({ directory: DIRECTORY, fileSystem: disk });
        expect(again).toMatchObject({ clean: true, corrupt: { frames: 0 }, torn: { frames: 0 } });
        expect((await drain(disk)).names).toEqual(namesOf(...expected));
      }),
      { numRuns: 150 },
    );
  });
});
