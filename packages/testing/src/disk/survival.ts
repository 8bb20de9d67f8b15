/** A change that nothing has made durable, as a crash finds it. */
export type PendingChange =
  /** The part of a write that lies in one sector. */
  | { readonly kind: 'data'; readonly path: string; readonly position: number; readonly bytes: number }
  /** The file's length, after a write that made it longer or a truncation. */
  | { readonly kind: 'size'; readonly path: string; readonly size: number }
  /** A name in a directory: that it is there (created, renamed to), or gone (removed, renamed from). */
  | { readonly kind: 'entry'; readonly path: string; readonly present: boolean };

/** Which pending changes are there after a crash. */
export type Keep = 'all' | 'none' | 'some' | ((change: PendingChange) => boolean);

/** What happens to the pending changes of one file or directory. */
export interface Survival {
  keeps(change: PendingChange): boolean;
  /** Writes what stands in a part of a file that is within its length but never got there. */
  fill(hole: Uint8Array): void;
}

const zeros = () => {};
// Chances of a change to be kept: nearly none, as many as not, nearly all.
const CHANCES = [0.05, 0.5, 0.95];

/**
 * A `Survival` for each file and directory: one may have been written out just before, another not for long. What does
 * not survive is added to `lost`.
 */
export function survivals(keep: Keep, random: () => number, lost: PendingChange[] = []): () => Survival {
  return () => {
    const { keeps, fill } = keep === 'some' ? byChance(random) : { keeps: deciderOf(keep), fill: zeros };
    return {
      keeps: (change) => {
        const isKept = keeps(change);
        if (!isKept) lost.push(change);
        return isKept;
      },
      fill,
    };
  };
}

function deciderOf(keep: Exclude<Keep, 'some'>): Survival['keeps'] {
  return typeof keep === 'function' ? keep : () => keep === 'all';
}

function byChance(random: () => number): Survival {
  const chance = CHANCES[Math.floor(random() * CHANCES.length)]!;
  const isGarbage = random() < 0.5;
  return {
    keeps: () => random() < chance,
    fill: (hole) => {
      if (isGarbage) for (let i = 0; i < hole.length; i++) hole[i] = Math.floor(random() * 256);
    },
  };
}
