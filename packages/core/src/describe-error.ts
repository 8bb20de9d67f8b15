const MAX_LENGTH = 200;

/**
 * An error as status and logs may show it: one line, shortened, and without what is likely to be secret: the user
 * part and query of a URL, and what follows the name of a credential.
 */
export function describeError(error: Error): string {
  const { code } = error as { code?: unknown };
  const message = `${error.message}`;
  const isNews = (typeof code === 'string' || typeof code === 'number') && !hasWord(message, `${code}`);
  const shown = `${isNews ? `${code}: ` : ''}${message}`
    .replace(/\s+/g, ' ')
    .replace(/(\w+:\/\/)[^\s/@]*@/g, '$1')
    .replace(/(\w+:\/\/[^\s?#]*)[?#]\S*/g, '$1')
    .replace(/\b(bearer|basic)\s+\S+/gi, '$1 ***')
    .replace(/\b([\w-]*(?:authorization|api-?key|token|secret|password)["']?\s*[:=]\s*)(?!bearer|basic)\S+/gi, '$1***');
  return shown.length > MAX_LENGTH ? `${shown.slice(0, MAX_LENGTH)}…` : shown;
}

const hasWord = (text: string, word: string): boolean => text.split(/[^\w.-]+/).includes(word);
