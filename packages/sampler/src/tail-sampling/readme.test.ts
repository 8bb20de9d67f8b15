import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SpanKind } from '@opentelemetry/api';
import { ConsoleSpanExporter } from '@opentelemetry/sdk-trace-base';
import { expect, it, vi } from 'vitest';
import { provider } from '../../../../test/support/tail-sampling-readme-example.js';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');

it('the example in the README is code that keeps what it says', async () => {
  const [, example] = [...read('../../README.md').matchAll(/```ts\n([\s\S]*?)```/g)];
  expect(read('../../../../test/support/tail-sampling-readme-example.ts')).toBe(example![1]);

  const exported: string[] = [];
  vi.spyOn(ConsoleSpanExporter.prototype, 'export').mockImplementation((spans, done) => {
    exported.push(...spans.map((span) => `${span.name} ${span.spanContext().traceState?.serialize()}`));
    done({ code: 0 });
  });
  const tracer = provider.getTracer('shop');
  for (const code of [200, 409]) {
    const attributes = { 'http.route': '/checkout/:id', 'http.response.status_code': code };
    tracer.startSpan(`checkout ${code}`, { kind: SpanKind.SERVER, attributes }).end();
  }
  await provider.shutdown();
  expect(exported).toContain('checkout 409 ot=th:0');
  expect(exported).not.toContain('checkout 200 ot=th:0');
});
