import type { ConfigurationError } from '@otel-resilience/core';

/** The class that read an option; the names of environment variables have underscores. */
const OWNER = /^[A-Z][A-Za-z]*(?=\.|$)/;

/**
 * Makes a part of what the user wrote at a path: a wrong option is named by that path, not by the part, which the user
 * has never heard of. `at`: the path of its options, or what makes one out of the rest, such as `.maxRetries`.
 */
export function writtenAt<T>(at: string | ((rest: string) => string), make: () => T): T {
  try {
    return make();
  } catch (thrown) {
    if (isConfigurationError(thrown)) {
      const { message, stack, expected, got } = thrown;
      const path = thrown.path.replace(OWNER, '');
      if (path !== thrown.path) {
        const written = typeof at === 'string' ? `${at}${path}` : at(path);
        const named = `${written}: expected ${expected}, got ${got}`;
        Object.assign(thrown, { path: written, message: named, stack: stack?.replace(message, () => named) });
      }
    }
    throw thrown;
  }
}

const isConfigurationError = (thrown: unknown): thrown is ConfigurationError =>
  thrown instanceof Error && thrown.name === 'ConfigurationError';
