import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { describe, expect, it, vi } from 'vitest';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');

describe('the example in the README', () => {
  it('is the code that runs here', () => {
    const [, example] = read('../README.md').match(/```ts\n([\s\S]*?)```/)!;
    expect(read('../../../test/support/sampler-readme-example.ts')).toBe(example);
  });

  it('says what the README says, and thins what is not critical', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const { sampler, tracer } = await import('../../../test/support/sampler-readme-example.js');
    expect(log).toHaveBeenCalledWith('ot=th:0');
    log.mockRestore();
    expect(sampler.stats()).toMatchObject({ level: 'moderate', ratio: expect.closeTo(0.05, 4), rule: 1 });
    for (let i = 0; i < 200; i++) tracer.startSpan('GET /list', {}, ROOT_CONTEXT).end();
    expect(sampler.stats().recordOnly).toBeGreaterThan(150);
  });
});
