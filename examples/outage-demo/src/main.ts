import { type Arguments, readArguments, USAGE } from './arguments.js';
import { crashRow } from './crash/crash-row.js';
import { crashTable } from './crash/crash-table.js';
import { type CrashResult, runCrash } from './crash/run-crash.js';
import { createCrashScenario } from './crash/scenario.js';
import { crashVerdict } from './crash/verdict.js';
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
    const crash = read.crash ? await playCrash(read, out) : undefined;
    return report({ outage, pressure, crash }, read);
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

/** The third act. */
async function playCrash({ scale }: Arguments, out: Out): Promise<CrashResult> {
  const result = await runCrash(createCrashScenario(scale), { onNote: (line) => out.write(`crash: ${line}\n`) });
  if (!result.endedByItself) out.write('crash: the application had to be killed after its shutdown\n');
  out.write(`${crashTable(result)}\n`);
  return result;
}

interface Played {
  readonly outage: Results;
  readonly pressure: PressureResult | undefined;
  readonly crash: CrashResult | undefined;
}

function report({ outage, pressure, crash }: Played, { json }: Arguments): number {
  const reasons = [
    ...verdict(outage),
    ...(pressure ? pressureVerdict(pressure) : []),
    ...(crash ? crashVerdict(crash) : []),
  ];
  for (const reason of reasons) console.error(reason);
  if (json) {
    const rows = Object.entries(outage).map(([name, result]) => [name, resultRow(result)]);
    const others = { ...(pressure && { pressure: pressureRow(pressure) }), ...(crash && { crash: crashRow(crash) }) };
    console.log(JSON.stringify({ ...Object.fromEntries(rows), ...others }));
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
