/** Shorter values are left as they are: they would be found in every other word. */
const MIN_LENGTH = 6;
const MASK = '***';
/** Bounds what a chain of causes can cost. */
const MAX_DEPTH = 4;

/**
 * Values that nobody may read: of headers, of credentials and queries of URLs. A server may repeat them, and what it
 * says ends up in errors, status and logs.
 */
export class Secrets {
  private readonly values: readonly string[];
  private forms: readonly string[] | undefined;

  constructor(...values: readonly (readonly string[])[]) {
    this.values = values.flat();
  }

  /**
   * `text` with `***` for every value of six or more characters: as it is, without its scheme (`Bearer …`), decoded
   * (`Basic …`), as JSON or a URL has it; and for the beginning of one, where a line ends.
   */
  mask(text: string): string {
    this.forms ??= formsOf(this.values);
    if (this.forms.length === 0) return text;
    const { forms } = this;
    const masked = text.replace(new RegExp(forms.map(literally).join('|'), 'gi'), MASK);
    return masked
      .split('\n')
      .map((line) => withoutTail(line, forms))
      .join('\n');
  }

  /** The same error, masked in all that it says itself or by its causes. */
  maskError<T>(error: T, depth = 0): T {
    if (typeof error !== 'object' || error === null || depth > MAX_DEPTH) return error;
    const properties = error as Record<string, unknown>;
    for (const name of Object.getOwnPropertyNames(error)) {
      try {
        const value = properties[name];
        if (typeof value === 'string') Reflect.set(error, name, this.mask(value));
        // What Node's HTTP parser could not read (`rawPacket`), as it came.
        else if (value instanceof Uint8Array) Reflect.deleteProperty(error, name);
        else if (name === 'cause') this.maskError(value, depth + 1);
      } catch {} // what cannot be read is not shown either
    }
    return error;
  }
}

/** What a URL, or a path, has of them: credentials, and the values of its query. As they are there, and decoded. */
export function secretsOfUrl(url = ''): readonly string[] {
  const [, credentials = ''] = /^\w+:\/\/([^/?#]*)@/.exec(url) ?? [];
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? [];
  const values = query.split('&').map((pair) => pair.replace(/^[^=]*=/, ''));
  return [...credentials.split(':'), ...values].filter(Boolean).flatMap((value) => [value, decoded(value)]);
}

function formsOf(values: readonly string[]): readonly string[] {
  const forms = values.flatMap(partsOf).flatMap((part) => [part, JSON.stringify(part).slice(1, -1), encoded(part)]);
  return [...new Set(forms)].filter(({ length }) => length >= MIN_LENGTH).sort((a, b) => b.length - a.length);
}

/** Of the value of a header: `scheme credentials`, `name=value; name="value"`. */
function partsOf(value: string): string[] {
  const [, scheme = '', credentials = ''] = /^([\w-]+)\s+(\S.*)$/.exec(value) ?? [];
  const pair = scheme.toLowerCase() === 'basic' ? Buffer.from(credentials, 'base64').toString() : '';
  const parameters = [...value.matchAll(/=\s*"?([^\s",;]+)/g)].map(([, part]) => part!);
  return [value, credentials, pair, ...pair.split(':'), ...parameters].filter(Boolean);
}

/** Who shortens a text may have cut off a value. */
function withoutTail(line: string, forms: readonly string[]): string {
  const [end = ''] = /(?:…|\.{3})?$/.exec(line) ?? [];
  const said = line.slice(0, line.length - end.length);
  let cut = 0;
  for (const form of forms) {
    for (let length = Math.min(form.length, said.length); length >= MIN_LENGTH && length > cut; length--) {
      if (said.slice(-length).toLowerCase() === form.slice(0, length).toLowerCase()) cut = length;
    }
  }
  return cut === 0 ? line : said.slice(0, -cut) + MASK + end;
}

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** Encoded values are ASCII, or have been left as they were. */
function encoded(value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    return value;
  }
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
