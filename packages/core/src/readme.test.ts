import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { adaptSpanExporter } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { FileSpanExporter, SecondChanceExporter } from '../../../test/support/core-readme-example.js';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');

describe('the example in the README', () => {
  it('is the code that runs here', () => {
    const [, example] = read('../README.md').match(/```ts\n([\s\S]*?)```/)!;
    expect(read('../../../test/support/core-readme-example.ts')).toBe(example);
  });

  it('gives spans that the first exporter refuses to the second, through a stock processor', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'core-readme-'));
    const broken = adaptSpanExporter({
      export: (_, callback) => callback({ code: 1, error: new Error('down') }),
      shutdown: async () => {},
    });
    const file = new FileSpanExporter();
    file.path = join(directory, 'spans.jsonl');
    const provider = new BasicTracerProvider({
      spanProcessors: [new BatchSpanProcessor(new SecondChanceExporter(broken, file))],
    });
    for (const name of ['a', 'b']) provider.getTracer('test').startSpan(name).end();
    await provider.shutdown();
    const lines = (await readFile(file.path, 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).name)).toEqual(['a', 'b']);
    await rm(directory, { recursive: true });
  });
});
