import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { JSON_FLAG } from '../flags.js';
import { DIRECTORY } from './parameters.js';

export const ls = buildCommand<{ readonly json: boolean }, [directory: string], Context>({
  loader: async () => {
    const { listDirectory } = await import('./ls.js');
    return function (flags, directory) {
      return present(this, 'spool ls', flags, () => listDirectory(directory));
    };
  },
  parameters: { positional: DIRECTORY, flags: { json: JSON_FLAG } },
  docs: {
    brief: 'Show the segments of a spool, and what waits in them',
    fullDescription: [
      'Show the segments of a spool, and what waits in them.',
      '',
      'Reads headers only; takes no lock and changes nothing, so it may run beside the application. Exits with 1 where the',
      'headers show damage; fsck looks at the spans too.',
    ].join('\n'),
  },
});
