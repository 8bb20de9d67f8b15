const grouped = new Intl.NumberFormat('en');
const oneDigit = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const shortened = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

export const count = (value: number): string => grouped.format(value);
export const decimal = (value: number): string => oneDigit.format(value);
/** Three significant digits. */
export const shortDecimal = (value: number): string => shortened.format(value);
export const shortPercent = (share: number): string => `${shortDecimal(share * 100)} %`;
export const seconds = (millis: number): string => `${oneDigit.format(millis / 1_000)} s`;

/** 100 % only when nothing is missing. */
export function percent(share: number): string {
  const tenths = share < 1 ? Math.min(999, Math.round(share * 1_000)) : 1_000;
  return `${oneDigit.format(tenths / 10)} %`;
}
