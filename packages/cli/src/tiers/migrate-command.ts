import { STORAGE_CLASSES, type StorageClass } from '@otel-resilience/tiered';
import { buildCommand } from '@stricli/core';
import { type Context, present } from '../command.js';
import { JSON_FLAG } from '../flags.js';
import type { Location } from './location.js';
import type { MigrateFlags } from './migrate.js';
import { COLD_FLAG, S3_FLAGS, WARM } from './parameters.js';
import { NEVER, parseDuration } from './times.js';

const storageClass = (text: string): StorageClass => {
  const found = STORAGE_CLASSES.find((name) => name === text.toUpperCase());
  if (!found) throw new Error(`expected one of ${STORAGE_CLASSES.join(', ')}`);
  return found;
};

export const migrate = buildCommand<MigrateFlags, [warm: Location], Context>({
  loader: async () => {
    const { migrateTiers } = await import('./migrate.js');
    return function (flags, warm) {
      return present(this, 'tiers migrate', flags, () => migrateTiers(warm, flags, this));
    };
  },
  parameters: {
    positional: WARM,
    flags: {
      cold: {
        ...COLD_FLAG,
        brief: 'Where old objects go, a directory or s3://bucket/prefix; default: they stay, in another class',
      },
      coldClass: {
        kind: 'parsed',
        parse: storageClass,
        brief: 'The storage class that old objects get, by the name that S3 has for it',
        placeholder: 'class',
        default: 'GLACIER',
      },
      coldAfter: {
        kind: 'parsed',
        parse: parseDuration,
        brief: 'How old objects are that go to cold',
        placeholder: 'age',
        default: '30d',
      },
      deleteAfter: {
        kind: 'parsed',
        parse: (text: string) => (text === 'never' ? NEVER : parseDuration(text)),
        brief: 'How old objects are that are deleted, in both places; or never',
        placeholder: 'age',
        default: '90d',
      },
      dryRun: {
        kind: 'boolean',
        brief: 'Say what would be moved and deleted; change nothing',
        default: false,
        withNegated: false,
      },
      ...S3_FLAGS,
      json: JSON_FLAG,
    },
  },
  docs: {
    brief: 'Move old objects to cold, and delete those that are older still',
    fullDescription: [
      'Move old objects to cold, and delete those that are older still.',
      '',
      'Ages are counted from the end of the hour in which the spans ended. A copy is verified before its source goes, so',
      'an object is in one of the two places at every moment. It may be ended at any time and run again, and beside an',
      'application that does the same.',
    ].join('\n'),
  },
});
