import { parseLocation } from './location.js';

/** Shared by the commands of `tiers`. */
export interface S3Flags {
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
}

const s3Endpoint = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new Error('expected an http:// or https:// URL without credentials');
  }
  return text;
};

const s3Region = (text: string): string => {
  if (!/^[A-Za-z0-9-]+$/.test(text)) throw new Error('expected a region such as eu-central-1');
  return text;
};

export const S3_FLAGS = {
  s3Endpoint: {
    kind: 'parsed',
    parse: s3Endpoint,
    brief: 'Of a server that speaks S3 and is not AWS; buckets are addressed by path then',
    placeholder: 'URL',
    optional: true,
  },
  s3Region: {
    kind: 'parsed',
    parse: s3Region,
    brief: 'Default: what the AWS SDK finds, such as AWS_REGION',
    placeholder: 'region',
    optional: true,
  },
} as const;

const LOCATION = {
  brief: 'A directory, as a FileObjectStore has it, or s3://bucket/prefix',
  placeholder: 'location',
  parse: parseLocation,
} as const;

export const WARM = { kind: 'tuple', parameters: [{ ...LOCATION, placeholder: 'warm' }] } as const;

export const LOCATIONS = { kind: 'array', parameter: LOCATION, minimum: 1 } as const;

export const COLD_FLAG = {
  kind: 'parsed',
  parse: parseLocation,
  brief: 'Where old objects are, if that is another place: a directory, or s3://bucket/prefix',
  placeholder: 'location',
  optional: true,
} as const;
