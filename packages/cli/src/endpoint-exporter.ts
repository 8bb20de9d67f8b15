import { ConfigurationError } from '@otel-resilience/core';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import type { EndpointFlags } from './endpoint-flags.js';
import { CommandError, EXIT } from './exit-code.js';

/** Nothing is connected to before the first batch. `command` is named where somebody may look for help. */
export function endpointExporter(
  { endpoint, protocol, header = [] }: EndpointFlags,
  command: string,
): OtlpSpanExporter {
  try {
    return new OtlpSpanExporter({
      url: endpoint,
      ...(protocol && { protocol }),
      ...(header.length > 0 && { headers: header }),
      metrics: false,
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const { path, expected } = error;
    const flag = path.includes('headers') ? '--header' : path.includes('protocol') ? '--protocol' : '--endpoint';
    throw new CommandError(EXIT.usage, `${flag}: expected ${expected}`, `See otel-resilience ${command} --help.`);
  }
}

/** Without what may be secret in it. */
export function shownEndpoint(endpoint: string): string {
  if (endpoint.startsWith('unix:') || !URL.canParse(endpoint)) return endpoint.replace(/[?#].*$/, '');
  const { origin, pathname } = new URL(endpoint);
  return pathname === '/' ? origin : origin + pathname;
}
