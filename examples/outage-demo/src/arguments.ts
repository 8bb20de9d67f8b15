import { parseArgs } from 'node:util';
import { PIPELINES, type PipelineName } from './scenario.js';

export interface Arguments {
  readonly json: boolean;
  readonly help: boolean;
  readonly scale: number;
  /** Of the first act. */
  readonly pipelines: readonly PipelineName[];
  /** Whether there is a second act. */
  readonly pressure: boolean;
  /** Whether there is a third. */
  readonly crash: boolean;
}

const PRESSURE = 'pressure';
const CRASH = 'crash';
const pipelineNames = Object.keys(PIPELINES) as PipelineName[];
const usual: readonly string[] = [...pipelineNames, PRESSURE];
const names: readonly string[] = [...usual, CRASH];
const MIN_SCALE = 0.1;
const MAX_SCALE = 100;

export const USAGE = `Two acts. The same outage and the same load for three pipelines, one after the other; then an application under pressure,
which traces less and still keeps every error and every slow request, and its numbers. With --disk a third: the outage once
more, and in its middle the application is killed with -9; what was in its spool is sent by the next one.

    npm start [-- options]

    --json          one line of JSON at the end of stdout; everything else goes to stderr
    --scale N       times the length of the scenario, ${MIN_SCALE} to ${MAX_SCALE}; default 1, 40 s for each pipeline and about 30 s for the
                    second act, which takes the time that recovery takes
    --disk          the third act too, 20 s
    --only NAME     ${names.join(', ')}; may be repeated
    --help

Ends with 0 only if otel-resilience lost nothing and each stock pipeline received less, and if under pressure the level
rose and came back, every error and slow request arrived, and the requests were estimated rightly, and of the application that
was killed everything arrived that was on its disk, and no more is missing than the next one says; otherwise with 1, and says why. What has not run is not judged.`;

/** Throws a `TypeError` for what cannot be understood. */
export function readArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      scale: { type: 'string', default: '1' },
      disk: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [...usual] },
    },
  });
  const scale = Number(values.scale);
  if (!(scale >= MIN_SCALE && scale <= MAX_SCALE)) {
    throw new TypeError(`--scale takes a number from ${MIN_SCALE} to ${MAX_SCALE}, not '${values.scale}'`);
  }
  const unknown = values.only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new TypeError(`--only takes one of ${names.join(', ')}, not '${unknown}'`);
  return {
    json: values.json,
    help: values.help,
    scale,
    pipelines: pipelineNames.filter((name) => values.only.includes(name)),
    pressure: values.only.includes(PRESSURE),
    crash: values.disk || values.only.includes(CRASH),
  };
}
