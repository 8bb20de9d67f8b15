const NAME = /(?:^|\/)0*([0-9a-f]+)-([0-9a-f]{8})[0-9a-f]{8}\.seg$/;

/** Enough of a segment's file name to tell it from others: its number, and how its token begins. */
export function segmentLabel(path: string): string {
  const [, number, token] = NAME.exec(path) ?? [];
  return number ? `${number}-${token}` : path.slice(path.lastIndexOf('/') + 1);
}
