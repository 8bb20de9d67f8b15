/** What `work` makes of each item, in their order, while it is at work on up to `concurrency` of them. */
export async function* inOrder<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  concurrency: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = [];
  for await (const item of items) {
    const working = work(item);
    working.catch(() => {}); // it is heard of when its turn comes
    begun.push(working);
    if (begun.length >= concurrency) yield await begun.shift()!;
  }
  while (begun.length > 0) yield await begun.shift()!;
}
