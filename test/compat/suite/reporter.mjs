/** One JSON line per test, for `run-suite.mjs`. */
export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { name, details, file, skip } = data;
    const error = type === 'test:fail' ? details.error : undefined;
    // Suites and files fail for what is in them, which has its own line.
    if (error?.failureType === 'subtestsFailed' || (!error && (details.type === 'suite' || name === file))) continue;
    const reason = error?.cause?.stack ?? error?.cause ?? error?.message;
    yield `${JSON.stringify({ name, ok: !error, millis: details.duration_ms, skip, error: reason && String(reason) })}\n`;
  }
}
