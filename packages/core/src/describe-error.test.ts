import { describe, expect, it } from 'vitest';
import { describeError } from './describe-error.js';

describe('describeError', () => {
  it('shows code and message in one short line', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED\n 127.0.0.1:4317'), { code: 'ECONNREFUSED' });
    expect(describeError(error)).toBe('connect ECONNREFUSED 127.0.0.1:4317');
    expect(describeError(Object.assign(new Error('Not Found'), { code: 404 }))).toBe('404: Not Found');
    expect(describeError(Object.assign(new Error('no page 4040'), { code: 404 }))).toBe('404: no page 4040');
    expect(describeError(new Error('x'.repeat(5_000)))).toHaveLength(201);
  });

  it.each([
    'POST https://me:s3cret@collector:4318/v1/traces failed',
    'POST https://collector/v1/traces?sig=s3cret&x=1 failed',
    'server said: Authorization: Bearer s3cret',
    'bad headers {"x-api-key": "s3cret"}',
    'api_token=s3cret was not accepted',
    'Basic s3cret',
  ])('keeps secrets out of %s', (message) => {
    expect(describeError(new Error(message))).not.toContain('s3cret');
  });
});
