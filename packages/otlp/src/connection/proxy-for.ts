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
  const proxy = parse(found);
  if (proxy?.protocol !== 'http:' && proxy?.protocol !== 'https:') {
    throw new ConfigurationError('HTTPS_PROXY, HTTP_PROXY or ALL_PROXY', PROXY_URL, proxy ? proxy.protocol : 'no URL');
  }
  const secure = proxy.protocol === 'https:';
  const { username, password } = proxy;
  return {
    target: { host: withoutBrackets(proxy.hostname), port: Number(proxy.port) || (secure ? 443 : 80) },
    secure,
    ...((username || password) && { authorization: basic(username, password) }),
  };
}

const PROXY_URL = 'the http: or https: URL of a proxy';

const parse = (url: string): URL | undefined => (URL.canParse(url) ? new URL(url) : undefined);

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
