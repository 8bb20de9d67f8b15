import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { proxyFor } from './proxy-for.js';

const NAMES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'];

beforeEach(() => {
  for (const name of NAMES.flatMap((upper) => [upper, upper.toLowerCase()])) vi.stubEnv(name, '');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const environment = (variables: Record<string, string>) => {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
};
const hostFor = (url: string) => proxyFor(url)?.target.host;

const HTTPS = 'https://collector.test:4318';

describe('which proxy', () => {
  it('none, when the environment names none', () => {
    expect(proxyFor(HTTPS)).toBeUndefined();
  });

  it.each<[string, Record<string, string>, string, string | undefined]>([
    ['HTTPS_PROXY for https', { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'http://b:1' }, HTTPS, 'a'],
    ['HTTP_PROXY for http', { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'http://b:1' }, 'http://collector.test', 'b'],
    ['never HTTP_PROXY for https', { HTTP_PROXY: 'http://b:1' }, HTTPS, undefined],
    ['lower case', { https_proxy: 'http://c:1' }, HTTPS, 'c'],
    ['lower case first', { https_proxy: 'http://c:1', HTTPS_PROXY: 'http://a:1' }, HTTPS, 'c'],
    ['ALL_PROXY for what has none', { ALL_PROXY: 'http://d:1' }, HTTPS, 'd'],
    ['a proxy without a scheme', { HTTPS_PROXY: 'e:1' }, HTTPS, 'e'],
  ])('%s', (_, variables, url, host) => {
    environment(variables);
    expect(hostFor(url)).toBe(host);
  });

  it.each([
    ['a name', 'collector.test', true],
    ['a name in a list', 'a.test, collector.test', true],
    ['a name in upper case', 'COLLECTOR.TEST', true],
    ['another name', 'other.test', false],
    ['a name with this port', 'collector.test:4318', true],
    ['a name with another port', 'collector.test:4317', false],
    ['a domain', '.test', true],
    ['a domain with a star', '*.test', true],
    ['everything', '*', true],
  ])('NO_PROXY with %s', (_, noProxy, direct) => {
    environment({ HTTPS_PROXY: 'http://a:1', NO_PROXY: noProxy });
    expect(hostFor(HTTPS)).toBe(direct ? undefined : 'a');
    vi.stubEnv('NO_PROXY', '');
    vi.stubEnv('no_proxy', noProxy);
    expect(hostFor(HTTPS)).toBe(direct ? undefined : 'a');
  });
});

describe('what it is', () => {
  it.each<[string, object]>([
    ['http://proxy.test:3128', { target: { host: 'proxy.test', port: 3128 }, secure: false }],
    ['http://proxy.test', { target: { host: 'proxy.test', port: 80 }, secure: false }],
    ['https://proxy.test', { target: { host: 'proxy.test', port: 443 }, secure: true }],
    ['http://[::1]:8080', { target: { host: '::1', port: 8080 }, secure: false }],
  ])('%s', (proxy, settings) => {
    environment({ HTTPS_PROXY: proxy });
    expect(proxyFor(HTTPS)).toEqual(settings);
  });

  it.each([
    ['http://user:p%40ss@proxy.test', 'user:p@ss'],
    ['http://user@proxy.test', 'user:'],
    ['http://us%er:p@proxy.test', 'us%er:p'],
  ])('%s shows its credentials', (proxy, credentials) => {
    environment({ HTTPS_PROXY: proxy });
    expect(Buffer.from(proxyFor(HTTPS)!.authorization!.replace('Basic ', ''), 'base64').toString()).toBe(credentials);
  });

  it.each(['socks5://user:hunter2@proxy.test:1080', 'http://user:hunter2@:1:2', 'http://user:hunter2@'])(
    'one that cannot be used is an error without its password: %s',
    (proxy) => {
      environment({ HTTPS_PROXY: proxy });
      expect(() => proxyFor(HTTPS)).toThrow(/HTTPS_PROXY.*expected the http: or https: URL of a proxy/);
      expect(() => proxyFor(HTTPS)).not.toThrow(/hunter2/);
    },
  );
});
