import { writeId } from './ids.js';
import { asString, codeAt } from './text.js';

/** Far more than there are requests under way in most processes: two digits say which place is an id's. */
const PLACES = 256;

/**
 * Ids that come again, as bytes: of the traces that spans end in at present, and of parents that have several children.
 * Reading one costs a look at each of its digits, so that the ids are a tenth of what a span costs to encode.
 */
export class RecentIds {
  private readonly size: number;
  private readonly texts: string[] = new Array(PLACES).fill('');
  private readonly bytes: Uint8Array;

  /** For ids of `size` bytes. */
  constructor(size: number) {
    this.size = size;
    this.bytes = new Uint8Array(PLACES * size);
  }

  /** Writes an id as `writeId` does, and throws what that throws. */
  write(id: string, target: Uint8Array, at: number): void {
    const { size, bytes, texts } = this;
    if (typeof id !== 'string' || asString(id).length !== 2 * size) {
      writeId(target, at, id, size);
      return;
    }
    const place = ((codeAt(id, 2 * size - 2) & 15) << 4) | (codeAt(id, 2 * size - 1) & 15);
    const start = place * size;
    if (texts[place] === id) {
      for (let i = 0; i < size; i++) target[at + i] = bytes[start + i]!;
      return;
    }
    writeId(target, at, id, size);
    // Nothing is called between these two: there may be no stack left for that, and a text never stands for other bytes.
    for (let i = 0; i < size; i++) bytes[start + i] = target[at + i]!;
    texts[place] = id;
  }

  /** What an id was cut out of lives as long as it does. */
  forget(): void {
    this.texts.fill('');
  }
}
