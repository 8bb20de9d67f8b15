const MIN_LENGTH = 4;
/** Access key ids as AWS makes them. They are no secrets, but lead to one. */
const ACCESS_KEY_ID = /\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b/g;

/** A function that takes credentials out of a text: those given, and what looks like an access key id. */
export function secretMask(credentials: unknown): (text: string) => string {
  const given = typeof credentials === 'object' && credentials !== null ? Object.values(credentials) : [];
  const secrets = given.filter((value) => typeof value === 'string' && value.length >= MIN_LENGTH) as string[];
  secrets.sort((a, b) => b.length - a.length);
  return (text) =>
    secrets.reduce((masked, secret) => masked.replaceAll(secret, '***'), text).replace(ACCESS_KEY_ID, '***');
}
