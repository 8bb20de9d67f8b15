// V8 knows a dozen kinds of strings (literals, parts of others, joined ones, each in two widths), and what is called on, or
// read from, more than four kinds at one place is looked up again every time.

const { charCodeAt } = String.prototype;

/** `text.charCodeAt(at)`, wherever the text comes from: looked up, a loop over the characters takes four times as long. */
export const codeAt = (text: string, at: number): number => charCodeAt.call(text, at);

/** The same string, of which the engine then knows that it is one: `length` is read then, and not looked up. */
export const asString = (text: string): string => String(text);
