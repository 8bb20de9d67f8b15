import { describeError, toError } from '@otel-resilience/core';
import type { ObjectStoreError, ObjectStoreErrorCode } from '@otel-resilience/tiered';
import { CommandError, EXIT } from '../exit-code.js';
import type { Location } from './location.js';
import { shownLocation } from './location.js';

/** What a store said when it was asked for the first time, in words that name the place and what to do. */
export function locationError(location: Location, thrown: unknown): CommandError {
  const error = toError(thrown);
  const code = error.name === 'ObjectStoreError' ? (error as ObjectStoreError).code : undefined;
  // Which call it was does not matter to who has typed a location.
  const message = (code ? error.message : describeError(error)).replace(/^list [^:]*: /, '');
  const remedy = location.kind === 's3' ? s3Remedy(code, message) : DIRECTORY_REMEDIES[code ?? ''];
  return unusable(location, message, remedy ?? 'Look at the directory and its disk.');
}

export const unusable = (location: Location, message: string, remedy: string): CommandError =>
  new CommandError(EXIT.usage, `${shownLocation(location)}: ${message}`, remedy);

const DIRECTORY_REMEDIES: Readonly<Record<string, string>> = {
  DENIED: 'Run it as the user that the application runs as.',
};

function s3Remedy(code: ObjectStoreErrorCode | undefined, message: string): string {
  if (/region is missing/i.test(message)) return 'Give it with --s3-region, or in AWS_REGION.';
  switch (code) {
    case 'NO_BUCKET':
      return 'Look at its name, at --s3-region and, where it is not on AWS, at --s3-endpoint.';
    case 'DENIED':
      return (
        'Credentials are what the AWS SDK finds: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role ' +
        'of the machine. They have to permit s3:ListBucket, GetObject and what else the command does.'
      );
    default:
      return 'Look at the network, at --s3-region and, where it is not on AWS, at --s3-endpoint.';
  }
}
