import { type Clock, type ExportContext, type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { fakeSpans, VirtualClock } from '@otel-resilience/testing';
import type { OtlpProtocol } from './endpoint-url.js';
import { readEndpointUrl } from './endpoint-url.js';
import type { OtlpAnswer, OtlpRequest, OtlpTransport } from './otlp-transport.js';
import type { OtlpSettings } from './settings.js';
import type { TransportOptions } from './transport-options.js';
import { TransportSpanExporter } from './transport-span-exporter.js';

type Step = 'accept' | 'hang' | Error | Uint8Array;

/** A transport whose answers come from a script, or from a function of the request; then it accepts. */
export class ScriptedTransport implements OtlpTransport {
  readonly requests: OtlpRequest[] = [];
  shutdowns = 0;
  open = 0;
  maxOpen = 0;
  respond: (request: OtlpRequest) => Step | Promise<Step>;

  constructor(...steps: Step[]) {
    this.respond = () => steps.shift() ?? 'accept';
  }

  async send(request: OtlpRequest): Promise<OtlpAnswer> {
    this.requests.push(request);
    this.open++;
    this.maxOpen = Math.max(this.maxOpen, this.open);
    try {
      const step = await this.respond(request);
      if (step === 'hang') await aborted(request.signal);
      if (step instanceof Error) throw step;
      return { body: step instanceof Uint8Array ? step : new Uint8Array() };
    } finally {
      this.open--;
    }
  }

  async shutdown(): Promise<void> {
    this.shutdowns++;
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

export function settings(overrides: Partial<OtlpSettings> & { clock: Clock }): OtlpSettings {
  const protocol: OtlpProtocol = overrides.protocol ?? 'grpc';
  return {
    protocol,
    endpoint: readEndpointUrl('http://collector:4317', protocol),
    transport: {} as TransportOptions,
    headers: { base: {}, headers: {}, timeoutMillis: 5_000 },
    timeoutMillis: 10_000,
    maxRequestBytes: 4 * 1024 * 1024,
    maxConcurrentExports: 30,
    metrics: false,
    ...overrides,
  };
}

export function setUp(overrides: Partial<OtlpSettings> = {}, ...steps: Step[]) {
  const clock = new VirtualClock();
  const transport = new ScriptedTransport(...steps);
  const exporter = new TransportSpanExporter(settings({ clock, ...overrides }), transport);
  const abort = new AbortController();
  const context = (millis = 30_000): ExportContext => ({ signal: abort.signal, deadline: clock.now() + millis });
  const send = (spans: readonly ReadableSpan[] | number = 3, millis?: number) =>
    exporter.exportBatch(SpanBatch.fromSpans(typeof spans === 'number' ? fakeSpans(spans) : spans), context(millis));
  return { clock, transport, exporter, abort, context, send };
}

/** As an HTTP or gRPC transport would reject. */
export const answered = (code: number, details = '', more: object = {}) =>
  Object.assign(new Error(`${code} ${details}`), { code, details, ...more });
