import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { JSON_FLAG } from '../flags.js';
import type { FsckFlags } from './fsck.js';
import { DIRECTORY } from './parameters.js';

export const fsck = buildCommand<FsckFlags, [directory: string], Context>({
  loader: async () => {
    const { checkDirectory } = await import('./fsck.js');
    return function (flags, directory) {
      return present(this, 'spool fsck', flags, () => checkDirectory(directory, flags, this));
    };
  },
  parameters: {
    positional: DIRECTORY,
    flags: {
      repair: {
        kind: 'boolean',
        brief: 'Repair what can be repaired; the originals are kept in quarantine/',
        default: false,
        withNegated: false,
      },
      json: JSON_FLAG,
    },
  },
  docs: {
    brief: 'Check every span of a spool, and repair what is damaged',
    fullDescription: [
      'Check every span of a spool, and repair what is damaged.',
      '',
      'Reads everything. Without --repair nothing is changed, and a live process may have the directory. With it, of each',
      'damaged segment what is intact is written to a new one; it exits with 0 when everything was repaired, and with 3',
      'when a live process has the directory.',
    ].join('\n'),
  },
});
