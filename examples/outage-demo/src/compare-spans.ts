export interface Comparison {
  readonly ended: number;
  /** Of those, the ones that at least one collector has. */
  readonly received: number;
  readonly missing: number;
  /** Received, although the application never told of them. */
  readonly unexpected: number;
  /** Receipts of a span that a collector had already. */
  readonly duplicates: number;
}

export interface Received {
  /** Duplicates included. */
  readonly receivedSpans: number;
  readonly spanKeys: readonly string[];
}

/** Compares, as sets, the spans that ended with those that the collectors have. */
export function compareSpans(ended: ReadonlySet<string>, collectors: readonly Received[]): Comparison {
  const unique = new Set(collectors.flatMap(({ spanKeys }) => spanKeys));
  const receipts = collectors.reduce((sum, { receivedSpans }) => sum + receivedSpans, 0);
  let received = 0;
  for (const key of ended) if (unique.has(key)) received++;
  return {
    ended: ended.size,
    received,
    missing: ended.size - received,
    unexpected: unique.size - received,
    duplicates: receipts - unique.size,
  };
}
