import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { toError } from './export-error.js';

describe('toError', () => {
  it('returns an error as it is', () => {
    const error = new TypeError('a');
    expect(toError(error)).toBe(error);
  });

  it('keeps message and code of an error of another realm', () => {
    const foreign = runInNewContext("Object.assign(new Error('far away'), { code: 14 })");
    expect(toError(foreign)).toMatchObject({ message: 'far away', code: 14 });
  });

  it.each([
    [undefined, 'export failed'],
    [null, 'export failed: null'],
    ['text', 'export failed: text'],
    [7n, 'export failed: 7'],
    [Object.create(null), 'export failed'],
    [
      {
        toString: () => {
          throw new Error('hostile');
        },
      },
      'export failed',
    ],
    [
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('hostile');
          },
        },
      ),
      'export failed',
    ],
  ])('is total: case %#', (thrown, message) => {
    expect(toError(thrown).message).toContain(message);
  });
});
