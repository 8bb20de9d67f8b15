import type { CommandResult, Context } from '../command.js';
import { EXIT } from '../exit-code.js';
import { byteSize, count, counted, isoTime, listed, printable } from '../format.js';
import { startSteps } from '../progress.js';
import { type Column, renderTable } from '../table.js';
import { type Group, type Grouping, type Inventory, takeInventory } from './inventory.js';
import type { Location } from './location.js';
import { locationError } from './location-error.js';
import type { S3Flags } from './parameters.js';
import { type Tier, withTiers } from './tier.js';

export interface LsFlags extends S3Flags {
  readonly cold?: Location;
  readonly by: Grouping;
  readonly spans: boolean;
  readonly json: boolean;
}

export async function listTiers(warm: Location, flags: LsFlags, { terminal }: Context): Promise<CommandResult> {
  const wanted = flags.cold ? [{ location: warm }, { location: flags.cold }] : [{ location: warm }];
  const inventories = await withTiers(wanted, flags, terminal, async (tiers) => {
    let seen = 0;
    const step = () => ({ text: `${counted(seen, 'object')} looked at` });
    const steps = startSteps(terminal, step());
    const onObject = () => {
      seen++;
      if (seen % 1_000 === 0) steps.update(step());
    };
    const found: Inventory[] = [];
    try {
      for (const tier of tiers) found.push(await terminal.quietly(() => look(tier, flags, onObject)));
    } finally {
      steps.end();
    }
    return found;
  });
  const isDamaged = inventories.some(({ damagedIndexes }) => damagedIndexes > 0);
  return {
    exitCode: isDamaged ? EXIT.incomplete : EXIT.fine,
    text: textOf(inventories, flags).join('\n'),
    json: jsonOf(inventories, flags),
  };
}

async function look(tier: Tier, { by, spans }: LsFlags, onObject: () => void): Promise<Inventory> {
  try {
    return await takeInventory(tier, { by, countSpans: spans, onObject });
  } catch (error) {
    throw locationError(tier.location, error);
  }
}

function columns({ by, spans }: LsFlags): Array<Column<Group>> {
  return [
    { title: by, value: ({ name }) => name },
    { title: 'class', value: ({ storageClass }) => storageClass },
    { title: 'objects', alignment: 'right', value: ({ objects }) => count(objects) },
    ...(spans ? [SPANS] : []),
    { title: 'size', alignment: 'right', value: ({ bytes }) => byteSize(bytes) },
    ...TIMES[by],
  ];
}

const HOUR_MILLIS = 3_600_000;
const SPANS: Column<Group> = { title: 'spans', alignment: 'right', value: ({ spans = 0 }) => count(spans) };
/** When the spans ended. */
const TIMES: Readonly<Record<Grouping, ReadonlyArray<Column<Group>>>> = {
  hour: [],
  day: [
    { title: 'from', value: ({ oldestHour }) => hourText(oldestHour).slice(-6) },
    {
      title: 'to',
      value: ({ newestHour }) =>
        hourText(newestHour + HOUR_MILLIS)
          .slice(-6)
          .replace('00:00', '24:00'),
    },
  ],
  service: [
    { title: 'from', value: ({ oldestHour }) => hourText(oldestHour) },
    { title: 'to', value: ({ newestHour }) => hourText(newestHour + HOUR_MILLIS) },
  ],
};

const hourText = (millis: number): string => `${new Date(millis).toISOString().slice(0, 16).replace('T', ' ')}Z`;

function textOf(inventories: readonly Inventory[], flags: LsFlags): string[] {
  const lines: string[] = [];
  for (const { location, groups, orphans, withoutIndex, damagedIndexes, foreign } of inventories) {
    const { objects, spans, bytes, oldestHour, newestHour } = totalsOf(groups);
    const what = flags.spans
      ? `${counted(objects, 'object')}, ${counted(spans ?? 0, 'span')}`
      : counted(objects, 'object');
    const since = objects > 0 ? `, ended from ${hourText(oldestHour)} to ${hourText(newestHour + HOUR_MILLIS)}` : '';
    lines.push(
      `${printable(location)}: ${objects > 0 ? `${what} (${byteSize(bytes)})${since}` : 'nothing is archived there'}`,
    );
    if (groups.length > 0) lines.push(renderTable(columns(flags), groups));
    if (withoutIndex > 0)
      lines.push(
        `${counted(withoutIndex, 'object')} without an index: found all the same, by reading ${withoutIndex === 1 ? 'it' : 'them'}`,
      );
    if (damagedIndexes > 0)
      lines.push(
        `${counted(damagedIndexes, 'index', 'indexes')} damaged, or of other data: made anew when the objects move`,
      );
    if (orphans > 0)
      lines.push(`${counted(orphans, 'index', 'indexes')} without data: what a removal has left, removed when old`);
    if (foreign.count > 0) lines.push(`not ours, left alone: ${listed(foreign.names, foreign.count)}`);
  }
  return lines;
}

type Totals = Pick<Group, 'objects' | 'bytes' | 'spans' | 'oldestHour' | 'newestHour'>;

function totalsOf(groups: readonly Totals[]): Totals {
  const sum = (value: (group: Totals) => number) => groups.reduce((total, group) => total + value(group), 0);
  return {
    objects: sum(({ objects }) => objects),
    bytes: sum(({ bytes }) => bytes),
    spans: groups.some(({ spans }) => spans === undefined) ? undefined : sum(({ spans = 0 }) => spans),
    oldestHour: groups.reduce((least, { oldestHour }) => Math.min(least, oldestHour), Number.POSITIVE_INFINITY),
    newestHour: groups.reduce((most, { newestHour }) => Math.max(most, newestHour), Number.NEGATIVE_INFINITY),
  };
}

function jsonOf(inventories: readonly Inventory[], flags: LsFlags) {
  const totals = totalsOf(inventories.flatMap(({ groups }) => groups));
  const sum = (value: (inventory: Inventory) => number) => inventories.reduce((total, each) => total + value(each), 0);
  return {
    by: flags.by,
    locations: inventories.map(({ location, groups, foreign, orphans, withoutIndex, damagedIndexes }) => ({
      location,
      groups: groups.map(({ name, storageClass, ...figures }) => ({
        [flags.by]: name,
        storageClass,
        ...figuresJson(figures, flags),
      })),
      orphans,
      withoutIndex,
      damagedIndexes: flags.spans ? damagedIndexes : null,
      foreign,
      totals: figuresJson(totalsOf(groups), flags),
    })),
    totals: {
      ...figuresJson(totals, flags),
      orphans: sum(({ orphans }) => orphans),
      withoutIndex: sum(({ withoutIndex }) => withoutIndex),
      damagedIndexes: flags.spans ? sum(({ damagedIndexes }) => damagedIndexes) : null,
    },
  };
}

const figuresJson = ({ objects, bytes, spans = 0, oldestHour, newestHour }: Totals, flags: LsFlags) => ({
  objects,
  bytes,
  spans: flags.spans ? spans : null,
  oldestHour: isoTime(oldestHour),
  newestHour: isoTime(newestHour),
});
