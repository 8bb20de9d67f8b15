import { Buffer } from 'node:buffer';
import { ConfigurationError } from '@otel-resilience/core';
import { getProxyForUrl } from 'proxy-from-env';
import type { ProxySettings } from '../transport-options.js';

/**
 * The proxy that the environment names for an `http:` or `https:` URL: `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`,
 * unless `NO_PROXY` has the host; lower case before upper case. Undefined: connect directly.
 *
 * @throws ConfigurationError for a proxy that is no `http:` or `https:` URL; it shows no credentials.
 */
export function proxyFor(url: string): ProxySettings | undefined {
  const found = getProxyForUrl(url);
  if (found === '') return undefined;
  const proxy = readProxyUrl(found);
  if (proxy) return proxy;
  throw new ConfigurationError('HTTPS_PROXY, HTTP_PROXY or ALL_PROXY', 'the http: or https: URL of a proxy', 'another');
}

/** Undefined for what is no `http:` or `https:` URL. */
export function readProxyUrl(url: string): ProxySettings | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname, port, username, password } = new URL(url);
  const secure = protocol === 'https:';
  if (!secure && protocol !== 'http:') return undefined;
  return {
    target: { host: withoutBrackets(hostname), port: Number(port) || (secure ? 443 : 80) },
    secure,
    ...((username || password) && { authorization: basic(username, password) }),
  };
}

const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

function basic(username: string, password: string): string {
  const credentials = `${decode(username)}:${decode(password)}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}

/** A `%` that begins no escape stands for itself. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
