import { describe, expect, it } from 'vitest';
import { readTlsFiles } from './tls-material.js';

const read = (file: string) => readTlsFiles({ key: { file } }).catch(String);

describe('what is taken for the path of a file', () => {
  it.each(['/none/key', './key', 'key.pem', 'C:\\none\\key', '~/key'])(
    '%s is named when it cannot be read',
    async (file) => {
      expect(await read(file)).toContain('ENOENT');
      expect(await read(file)).toMatch(/\((.+)\) cannot be read/);
    },
  );

  it.each([
    ['the base64 of a key', 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg'],
    ['the same with line breaks', 'MIGHAgEAMBMG\nByqGSM49AgEG/CCqGSM49'],
    ['an endless one', `/${'A'.repeat(5_000)}`],
  ])('%s is not shown', async (_, file) => {
    const said = await read(file);
    expect(said).toContain('cannot be read');
    expect(said).not.toContain(file.slice(1, 12));
  });
});
