import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { ENDPOINT_FLAGS } from '../endpoint-flags.js';
import { JSON_FLAG, positiveInteger, positiveNumber } from '../flags.js';
import type { Location } from './location.js';
import { LOCATIONS, S3_FLAGS } from './parameters.js';
import type { RehydrateFlags } from './rehydrate.js';
import { parseTime } from './times.js';

const traceId = (text: string): string => {
  if (!/^[0-9a-f]{32}$/i.test(text)) throw new Error('expected 32 hexadecimal digits');
  return text.toLowerCase();
};

export const rehydrate = buildCommand<RehydrateFlags, Location[], Context>({
  loader: async () => {
    const { rehydrateTiers } = await import('./rehydrate.js');
    return function (flags, ...locations) {
      return present(this, 'tiers rehydrate', flags, () => rehydrateTiers(locations, flags, this));
    };
  },
  parameters: {
    positional: LOCATIONS,
    flags: {
      ...ENDPOINT_FLAGS,
      from: {
        kind: 'parsed',
        parse: parseTime,
        brief: 'Spans that had not ended by then: 2026-11-21T08:30Z, or 2h for two hours ago; default: the oldest',
        placeholder: 'time',
        optional: true,
      },
      to: {
        kind: 'parsed',
        parse: parseTime,
        brief: 'Spans that had begun by then; default: the newest',
        placeholder: 'time',
        optional: true,
      },
      service: {
        kind: 'parsed',
        parse: String,
        brief: 'Of this service.name, may be repeated; default: of all',
        placeholder: 'name',
        variadic: true,
        optional: true,
      },
      traceId: {
        kind: 'parsed',
        parse: traceId,
        brief: 'Of this trace, may be repeated',
        placeholder: 'id',
        variadic: true,
        optional: true,
      },
      rate: {
        kind: 'parsed',
        parse: positiveNumber,
        brief: 'Spans per second, at most',
        placeholder: 'spans',
        default: '5000',
      },
      noRestore: {
        kind: 'boolean',
        brief: 'Leave out what has to be restored first; default: have it restored, which costs money and takes hours',
        default: false,
        withNegated: false,
      },
      restoreDays: {
        kind: 'parsed',
        parse: positiveInteger,
        brief: 'How long a restored copy is kept',
        placeholder: 'days',
        default: '7',
      },
      restoreTier: {
        kind: 'enum',
        values: ['Expedited', 'Standard', 'Bulk'],
        brief: 'How soon it is there, and at what price',
        default: 'Standard',
      },
      dryRun: {
        kind: 'boolean',
        brief: 'Say what would be sent and restored; send and restore nothing',
        default: false,
        withNegated: false,
      },
      ...S3_FLAGS,
      json: JSON_FLAG,
    },
  },
  docs: {
    brief: 'Send archived spans to an endpoint, by time, service or trace',
    fullDescription: [
      'Send archived spans to an endpoint, by time, service or trace.',
      '',
      'Give every place in which they may be, such as warm and cold: what is in several is sent once. The archive is not',
      'changed. It may be ended at any time, and says then from when on to run it again. A duration is a time ago.',
    ].join('\n'),
  },
});
