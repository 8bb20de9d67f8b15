import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { JSON_FLAG } from '../flags.js';
import type { Location } from './location.js';
import type { LsFlags } from './ls.js';
import { COLD_FLAG, S3_FLAGS, WARM } from './parameters.js';

export const ls = buildCommand<LsFlags, [warm: Location], Context>({
  loader: async () => {
    const { listTiers } = await import('./ls.js');
    return function (flags, warm) {
      return present(this, 'tiers ls', flags, () => listTiers(warm, flags, this));
    };
  },
  parameters: {
    positional: WARM,
    flags: {
      cold: COLD_FLAG,
      by: { kind: 'enum', values: ['day', 'hour', 'service'], brief: 'What is shown as one row', default: 'day' },
      spans: {
        kind: 'boolean',
        brief: 'Count spans too: every index is read for that',
        default: false,
        withNegated: false,
      },
      ...S3_FLAGS,
      json: JSON_FLAG,
    },
  },
  docs: {
    brief: 'Show what is archived, by day, hour or service',
    fullDescription: [
      'Show what is archived, by day, hour or service, in each storage class.',
      '',
      'Lists keys and reads nothing, so it is quick, and changes nothing. With --spans it reads the indexes, and exits',
      'with 1 where one is damaged.',
    ].join('\n'),
  },
});
