import { type Arguments, readArguments, USAGE } from './arguments.js';
import { pressureRow } from './pressure/pressure-row.js';
import { type PressureResult, runPressure } from './pressure/run-pressure.js';
import { createPressureScenario } from './pressure/scenario.js';
import { pressureVerdict } from './pressure/verdict.js';
import { killChildren } from './processes/child.js';
import { type Results, resultRow } from './result-row.js';
import { runPipeline } from './run-pipeline.js';
import { createScenario } from './scenario.js';
import { verdict } from './verdict.js';
import { pressureTable } from './view/pressure-table.js';
import { createPressureView } from './view/pressure-view.js';
import { resultTable } from './view/result-table.js';
import { createView } from './view/view.js';

type Out = typeof process.stdout | typeof process.stderr;

let view: { close(): void } | undefined;
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
  const out = read.json ? process.stderr : process.stdout;
  endOnSignals();
  try {
    const outage = await playOutage(read, out);
    const pressure = read.pressure ? await playPressure(read, out) : undefined;
    return report(outage, pressure, read);
  } catch (error) {
    view?.close();
    console.error(error);
    return 1;
  }
}

/** The first act. */
async function playOutage({ scale, pipelines }: Arguments, out: Out): Promise<Results> {
  const results: Results = {};
  if (pipelines.length === 0) return results;
  const scenario = createScenario(scale);
  const outageView = createView(out, scenario, pipelines);
  view = outageView;
  for (const pipeline of pipelines) {
    const result = await runPipeline(pipeline, scenario, {
      onProgress: (progress) => outageView.update(progress),
      onNote: (line) => outageView.note(line),
    });
    results[pipeline] = result;
    outageView.finished(pipeline, result.received / result.ended);
    if (result.shutdownError) outageView.note(`${pipeline}: its shutdown failed: ${result.shutdownError}`);
    if (!result.endedByItself) outageView.note(`${pipeline}: the application had to be killed after its shutdown`);
  }
  outageView.close();
  out.write(`${resultTable(results)}\n`);
  return results;
}

/** The second act. */
async function playPressure({ scale }: Arguments, out: Out): Promise<PressureResult> {
  const scenario = createPressureScenario(scale);
  const pressureView = createPressureView(out, scenario);
  view = pressureView;
  const result = await runPressure(scenario, {
    onProgress: (progress) => pressureView.update(progress),
    onNote: (line) => pressureView.note(line),
  });
  if (result.shutdownError) pressureView.note(`pressure: its shutdown failed: ${result.shutdownError}`);
  if (!result.endedByItself) pressureView.note('pressure: the application had to be killed after its shutdown');
  pressureView.close();
  out.write(`${pressureTable(result)}\n`);
  return result;
}

function report(outage: Results, pressure: PressureResult | undefined, { json }: Arguments): number {
  const reasons = [...verdict(outage), ...(pressure ? pressureVerdict(pressure) : [])];
  for (const reason of reasons) console.error(reason);
  if (json) {
    const rows = Object.entries(outage).map(([name, result]) => [name, resultRow(result)]);
    console.log(JSON.stringify({ ...Object.fromEntries(rows), ...(pressure && { pressure: pressureRow(pressure) }) }));
  }
  return reasons.length === 0 ? 0 : 1;
}

function endOnSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => {
      killChildren();
      view?.close();
      process.exit(code);
    });
  }
}
