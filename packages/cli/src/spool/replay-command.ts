import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { ENDPOINT_FLAGS } from '../endpoint-flags.js';
import { JSON_FLAG, positiveInteger, positiveNumber } from '../flags.js';
import { DIRECTORY } from './parameters.js';
import type { ReplayFlags } from './replay.js';

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
      ...ENDPOINT_FLAGS,
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
