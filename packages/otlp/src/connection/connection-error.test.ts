import { expect, it } from 'vitest';
import { ConnectionError } from './connection-error.js';

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

it.each<[string, unknown, string, string]>([
  ['one cause', failure('ECONNREFUSED', 'connect ECONNREFUSED ::1:1'), 'ECONNREFUSED', 'connect ECONNREFUSED ::1:1'],
  [
    'one for each address',
    Object.assign(new AggregateError([failure('A', 'no ::1'), failure('B', 'no 127.0.0.1')]), { code: 'ECONNREFUSED' }),
    'ECONNREFUSED',
    'no ::1; no 127.0.0.1',
  ],
  ['a code alone', failure('EPIPE', ''), 'EPIPE', 'EPIPE'],
  ['a message alone', new Error('why not'), 'ECONNFAILED', 'why not'],
  ['a code that is a number, which would be read as a status', { code: 404, message: 'no' }, 'ECONNFAILED', 'no'],
])('says where, and why: %s', (_, cause, code, why) => {
  const error = new ConnectionError('collector:4317', cause);
  expect(error.code).toBe(code);
  expect(error.message).toBe(`cannot connect to collector:4317: ${why}`);
  expect(error.cause).toBe(cause);
});
