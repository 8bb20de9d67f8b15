import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { DIRECTORY, JSON_FLAG, positiveInteger, positiveNumber } from './parameters.js';
import type { ReplayFlags } from './replay.js';

const header = (text: string): readonly [name: string, value: string] => {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(0, at)).trim();
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new Error('expected name=value');
  return [name, text.slice(at + 1).trim()];
};

const endpoint = (text: string): string => {
  if (!/^(https?:\/\/|unix:)/.test(text))
    throw new Error('expected an http:// or https:// URL, or unix:/path/to/socket');
  return text;
};

export const replay = buildCommand<ReplayFlags, [directory: string], Context>({
  loader: async () => {
    const { replayDirectory } = await import('./replay.js');
    return function (flags, directory) {
      return present(this, 'spool replay', flags, () => replayDirectory(directory, flags, this));
    };
  },
  parameters: {
    positional: DIRECTORY,
    flags: {
      endpoint: { kind: 'parsed', parse: endpoint, brief: 'Where the spans go', placeholder: 'URL' },
      protocol: {
        kind: 'enum',
        values: ['grpc', 'http/protobuf'],
        brief: 'Default: http/protobuf for port 4318 or a path that ends in /v1/traces, otherwise grpc',
        optional: true,
      },
      header: {
        kind: 'parsed',
        parse: header,
        brief:
          'Sent with every request, may be repeated; OTEL_EXPORTER_OTLP_HEADERS keeps it out of the list of processes',
        placeholder: 'name=value',
        variadic: true,
        optional: true,
      },
      rate: {
        kind: 'parsed',
        parse: positiveNumber,
        brief: 'Spans per second, at most; default: as fast as the endpoint takes them',
        placeholder: 'spans',
        optional: true,
      },
      order: { kind: 'enum', values: ['oldest', 'newest'], brief: 'What goes first', default: 'oldest' },
      limit: {
        kind: 'parsed',
        parse: positiveInteger,
        brief: 'Spans to send, at most; default: all',
        placeholder: 'spans',
        optional: true,
      },
      dryRun: {
        kind: 'boolean',
        brief: 'Say what would be sent; send and change nothing',
        default: false,
        withNegated: false,
      },
      json: JSON_FLAG,
    },
  },
  docs: {
    brief: 'Send what waits in a spool that no process uses',
    fullDescription: [
      'Send what waits in a spool that no process uses.',
      '',
      'Spans leave the spool when they were acknowledged. What the endpoint refuses stays, and so does the rest after',
      'Ctrl-C. Sent at least once: what was acknowledged just before a crash is sent again.',
    ].join('\n'),
  },
});
