import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secrets, secretsOfUrl } from './secrets.js';

const mask = (text: string, ...values: string[]) => new Secrets(values).mask(text);

describe('what others say', () => {
  it.each<[string, string, string, string]>([
    ['a whole value', 'k3y-1234', 'bad key k3y-1234, twice: k3y-1234', 'bad key ***, twice: ***'],
    ['a value with its scheme', 'Bearer s3cret.token', 'no Bearer s3cret.token', 'no ***'],
    ['a value without its scheme', 'Bearer s3cret.token', 'token s3cret.token is too old', 'token *** is too old'],
    ['another scheme', 'ApiKey abc=defgh==', '"abc=defgh=="', '"***"'],
    ['the scheme alone', 'Bearer s3cret.token', 'a Bearer token is needed', 'a Bearer token is needed'],
    ['credentials in base64', 'Basic dXNlcjpodW50ZXIyMg==', 'dXNlcjpodW50ZXIyMg== is wrong', '*** is wrong'],
    ['the same, decoded', 'Basic dXNlcjpodW50ZXIyMg==', 'user:hunter22; user and hunter22', '***; user and ***'],
    ['a part of a cookie', 'sid=abc12345; theme="dark-and-blue"', 'abc12345 or dark-and-blue', '*** or ***'],
    ['JSON', 'a"b\\c1234', '{"got":"a\\"b\\\\c1234"}', '{"got":"***"}'],
    ['a URL', 'abc/+def==', '/login?was=abc%2f%2Bdef%3D%3D', '/login?was=***'],
    ['another case', '550E8400-e29b', '550e8400-E29B', '***'],
    ['the longer of two', 'secret-1', 'secret-1', '***'],
    ['what begins a value and was cut off', 'k3y-123456789', 'bad key k3y-1234', 'bad key ***'],
    ['the same with a sign of it', 'k3y-123456789', 'bad key k3y-1234…', 'bad key ***…'],
    ['the same in one of many lines', 'k3y-123456789', 'Error: İ k3y-1234...\n  at x', 'Error: İ ***...\n  at x'],
    ['less than six characters', 'abcde', 'abcde', 'abcde'],
    ['nothing', 'k3y-1234', 'no such page', 'no such page'],
  ])('with %s in it', (_, value, said, shown) => {
    expect(mask(said, value)).toBe(shown);
  });

  it('is masked by the longest of the values that fit', () => {
    expect(mask('secret-12345', 'secret-1', 'secret-12345')).toBe('***');
  });

  it('property: no value of six or more characters is left, nor the beginning of one at the end', () => {
    const value = fc.string({ unit: fc.constantFrom(...'abXY12/+=. "\\%-'), minLength: 6, maxLength: 20 });
    fc.assert(
      fc.property(value, fc.string(), fc.string(), fc.nat(), (value, before, after, cut) => {
        expect(mask(`${before}${value}${after}`, value).toLowerCase()).not.toContain(value.toLowerCase());
        const beginning = value.slice(0, 6 + (cut % 15));
        expect(mask(`${before}${beginning}`, value).endsWith(beginning)).toBe(false);
      }),
    );
  });
});

describe('an error', () => {
  it('is masked in all that it says, and in its causes', () => {
    const cause = new Error('k3y-1234 again');
    const error = Object.assign(new Error('no k3y-1234', { cause }), { code: 401, details: 'k3y-1234', data: '' });
    expect(new Secrets(['k3y-1234']).maskError(error)).toBe(error);
    expect(error).toMatchObject({ message: 'no ***', code: 401, details: '***', cause: { message: '*** again' } });
    expect(error.stack).not.toContain('k3y-1234');
    expect(cause.stack).not.toContain('k3y-1234');
  });

  it('may be anything', () => {
    const circle = new Error('k3y-1234') as Error & { cause: unknown };
    circle.cause = circle;
    const thrower = Object.defineProperty({}, 'a', {
      get() {
        throw new Error('unreadable');
      },
    });
    for (const odd of [undefined, 'k3y-1234', 7, Object.freeze(new Error('k3y-1234')), circle, thrower]) {
      expect(new Secrets(['k3y-1234']).maskError(odd)).toBe(odd);
    }
    expect(circle.message).toBe('***');
  });
});

it('a URL has secrets in its credentials and its query', () => {
  const url = 'https://me%40home:hunt%2Fer22@collector.test/v1/traces?key=abc%2Bdef&plain&x=1#there';
  expect(secretsOfUrl(url)).toEqual(
    expect.arrayContaining(['me%40home', 'me@home', 'hunt%2Fer22', 'hunt/er22', 'abc%2Bdef', 'abc+def', 'plain']),
  );
  expect(secretsOfUrl('/v1/traces?a=%')).toEqual(expect.arrayContaining(['%']));
  expect(secretsOfUrl('/v1/traces')).toEqual([]);
  expect(secretsOfUrl(undefined)).toEqual([]);
});
