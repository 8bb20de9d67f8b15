/** Shared by all commands. */
export const JSON_FLAG = {
  kind: 'boolean',
  brief: 'One JSON object as the last line, for programs',
  default: false,
  withNegated: false,
} as const;

export const positiveInteger = (text: string): number => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1)
    throw new Error('expected a whole number, at least 1');
  return value;
};

export const positiveNumber = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) throw new Error('expected a number above 0');
  return value;
};
