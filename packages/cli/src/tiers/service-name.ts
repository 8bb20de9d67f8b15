/** What the segment of a key stands for; a name that was too long stays cut. */
export function serviceName(segment: string): string {
  if (segment === '!') return '(without a name)';
  if (segment === '!mixed') return '(several)';
  const [escaped = '', hash] = segment.split('!!');
  const bytes = Buffer.from(
    escaped.replace(/!([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  return hash === undefined ? bytes.toString('utf8') : `${bytes.toString('utf8')}…`;
}
