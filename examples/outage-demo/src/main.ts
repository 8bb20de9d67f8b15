import { type Arguments, readArguments, USAGE } from './arguments.js';
import { killChildren } from './processes/child.js';
import { type Results, resultRow } from './result-row.js';
import { runPipeline } from './run-pipeline.js';
import { createScenario } from './scenario.js';
import { verdict } from './verdict.js';
import { resultTable } from './view/result-table.js';
import { createView, type View } from './view/view.js';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let read: Arguments;
  try {
    read = readArguments(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (read.help) {
    console.log(USAGE);
    return 0;
  }
  const scenario = createScenario(read.scale);
  const out = read.json ? process.stderr : process.stdout;
  const view = createView(out, scenario, read.pipelines);
  endOnSignals(view);
  try {
    const results: Results = {};
    for (const pipeline of read.pipelines) {
      const result = await runPipeline(pipeline, scenario, {
        onProgress: (progress) => view.update(progress),
        onNote: (line) => view.note(line),
      });
      results[pipeline] = result;
      view.finished(pipeline, result.received / result.ended);
      if (result.shutdownError) view.note(`${pipeline}: its shutdown failed: ${result.shutdownError}`);
      if (!result.endedByItself) view.note(`${pipeline}: the application had to be killed after its shutdown`);
    }
    view.close();
    return report(results, read, out);
  } catch (error) {
    view.close();
    console.error(error);
    return 1;
  }
}

function report(results: Results, { json }: Arguments, out: NodeJS.WritableStream): number {
  out.write(`${resultTable(results)}\n`);
  const reasons = verdict(results);
  for (const reason of reasons) console.error(reason);
  if (json) {
    const rows = Object.entries(results).map(([name, result]) => [name, resultRow(result)]);
    console.log(JSON.stringify(Object.fromEntries(rows)));
  }
  return reasons.length === 0 ? 0 : 1;
}

function endOnSignals(view: View): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => {
      killChildren();
      view.close();
      process.exit(code);
    });
  }
}
