import { parseArgs } from 'node:util';
import { PIPELINES, type PipelineName } from './scenario.js';

export interface Arguments {
  readonly json: boolean;
  readonly help: boolean;
  readonly scale: number;
  readonly pipelines: readonly PipelineName[];
}

const names = Object.keys(PIPELINES) as PipelineName[];
const MIN_SCALE = 0.1;
const MAX_SCALE = 100;

export const USAGE = `The same outage and the same load for three pipelines, one after the other.

    npm start [-- options]

    --json          one line of JSON at the end of stdout; everything else goes to stderr
    --scale N       times the length of the scenario, ${MIN_SCALE} to ${MAX_SCALE}; default 1, 40 s for each pipeline
    --only NAME     ${names.join(', ')}; may be repeated
    --help

Ends with 0 only if otel-resilience lost nothing and each stock pipeline received less; otherwise with 1, and says why.
What has not run is not judged.`;

/** Throws a `TypeError` for what cannot be understood. */
export function readArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      scale: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: names },
    },
  });
  const scale = Number(values.scale);
  if (!(scale >= MIN_SCALE && scale <= MAX_SCALE)) {
    throw new TypeError(`--scale takes a number from ${MIN_SCALE} to ${MAX_SCALE}, not '${values.scale}'`);
  }
  const unknown = values.only.find((name) => !names.includes(name as PipelineName));
  if (unknown !== undefined) throw new TypeError(`--only takes one of ${names.join(', ')}, not '${unknown}'`);
  return { json: values.json, help: values.help, scale, pipelines: names.filter((name) => values.only.includes(name)) };
}
