const { charCodeAt } = String.prototype;

/**
 * `text.charCodeAt(at)`, wherever the text comes from. V8 knows a dozen kinds of strings (literals, parts of others,
 * joined ones, each in two widths), and a method that has been called on more than four at one place is looked up again
 * at every call: a loop over the characters then takes four times as long.
 */
export const codeAt = (text: string, at: number): number => charCodeAt.call(text, at);
