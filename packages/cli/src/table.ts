import { Table } from 'console-table-printer';
import { printable } from './format.js';

export interface Column<Row> {
  readonly title: string;
  readonly alignment?: 'left' | 'right';
  readonly value: (row: Row) => string;
}

/** Without colours: it reads the same in a file. */
export function renderTable<Row>(columns: ReadonlyArray<Column<Row>>, rows: readonly Row[]): string {
  const table = new Table({
    shouldDisableColors: true,
    columns: columns.map(({ title, alignment = 'left' }, index) => ({ name: String(index), title, alignment })),
  });
  for (const row of rows) {
    table.addRow(Object.fromEntries(columns.map(({ value }, index) => [String(index), printable(value(row))])));
  }
  return table.render();
}
