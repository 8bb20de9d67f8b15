import type { Resource } from '@otel-resilience/core';

/**
 * The service this process is: as configured, else of the resource, else of the environment. A resource that is still
 * being detected must not be read; `onChange` is called when it has told.
 */
export function serviceNameOf(
  { serviceName, resource }: { readonly serviceName: string | undefined; readonly resource: Resource | undefined },
  onChange: (serviceName: string) => void,
): string | undefined {
  if (serviceName !== undefined) return serviceName;
  if (resource?.asyncAttributesPending) {
    const whenSettled = () => {
      const detected = ofResource(resource);
      if (detected !== undefined) onChange(detected);
    };
    resource.waitForAsyncAttributes?.().then(whenSettled, whenSettled);
    return ofEnvironment();
  }
  return ofResource(resource) ?? ofEnvironment();
}

function ofResource(resource: Resource | undefined): string | undefined {
  const name = resource?.attributes?.['service.name'];
  return typeof name === 'string' && name !== '' ? name : undefined;
}

/** OpenTelemetry: `OTEL_SERVICE_NAME` "takes precedence over `service.name`" of `OTEL_RESOURCE_ATTRIBUTES`. */
function ofEnvironment(): string | undefined {
  const { OTEL_SERVICE_NAME: name, OTEL_RESOURCE_ATTRIBUTES: attributes } = process.env;
  if (name?.trim()) return name.trim();
  for (const pair of attributes?.split(',') ?? []) {
    const [key, value] = pair.split('=', 2);
    if (key?.trim() === 'service.name' && value?.trim()) return decoded(value.trim());
  }
  return undefined;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
