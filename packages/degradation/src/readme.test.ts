import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { degradation, productPage, signals } from '../../../test/support/degradation-readme-example.js';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');

describe('the example in the README', () => {
  it('is the code that runs here', () => {
    const [, example] = read('../README.md').match(/```ts\n([\s\S]*?)```/)!;
    expect(read('../../../test/support/degradation-readme-example.ts')).toBe(example);
  });

  it('sheds more as the queue fills, and says why', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    let filled = 0;
    signals.publish('queueUtilization', () => filled);
    const broken = async () => {
      throw new Error('broken');
    };
    degradation.start();
    expect(await productPage('7', async () => 12)).toEqual({ price: 12, suggestions: ['socks'] });
    await expect(productPage('7', broken)).rejects.toThrow('broken');
    filled = 0.7;
    signals.changed();
    expect(await productPage('7', broken)).toEqual({ price: 'ask us', suggestions: [] });
    expect(log).toHaveBeenCalledWith('normal → moderate (trigger: queue at 0.7)');
    degradation.stop();
    log.mockRestore();
  });
});
