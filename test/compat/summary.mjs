/** One row per part, one column per matrix. */
export function table(runs) {
  const parts = [...new Set(runs.flatMap(({ results }) => results.map(({ part }) => part)))];
  const cell = ({ results }, wanted) => {
    const mine = results.filter(({ part }) => part === wanted);
    const failed = mine.filter(({ ok }) => !ok).length;
    return failed ? `${failed} of ${mine.length} FAILED` : `${mine.length} passed`;
  };
  const rows = [
    ['', ...runs.map(({ title }) => title)],
    ...parts.map((part) => [part, ...runs.map((run) => cell(run, part))]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

/** What an installation of ours adds to one of NodeSDK. */
export const costLine = (title, { nodeSdk, added }) =>
  `${title}: NodeSDK alone ${nodeSdk.packages} packages, ${nodeSdk.megabytes} MB; ours adds ${added.packages} packages, ${added.megabytes} MB`;

/** For `--json`. */
export const summary = (runs) =>
  Object.fromEntries(
    runs.map(({ key, title, cost, results }) => {
      const failed = results.filter(({ ok }) => !ok).length;
      return [key, { title, passed: results.length - failed, failed, cost, results }];
    }),
  );
