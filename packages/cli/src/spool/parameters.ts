import { resolve } from 'node:path';

/** Shared by the commands of `spool`. */
export const DIRECTORY = {
  kind: 'tuple',
  parameters: [
    {
      brief: 'That of the spool, as given to it in its option directory',
      placeholder: 'directory',
      parse: (path: string) => {
        if (path === '') throw new Error('expected a path');
        return resolve(path);
      },
    },
  ],
} as const;
