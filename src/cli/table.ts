// The one column writer: kubectl-like tables with upper-case headers, three spaces between columns, no borders, `-`
// for what is absent.
import { stripVTControlCharacters } from 'node:util';
import { type Paint, plain, type Tone } from './io.ts';

export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string | number | null | undefined;
  /** Numbers are right-aligned by themselves; this does it for texts such as `3.1kB/s`. */
  readonly right?: boolean;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
  readonly tone?: (row: Row) => Tone | null;
}

export interface TableView {
  readonly wide: boolean;
  readonly paint: Paint;
  /** False: rows alone, as with `--no-headers`. */
  readonly headers?: boolean;
}

const gap = '   ';

/** Rows as text, one line each with a newline at its end; without rows, `empty` in place of a lonely header. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  view: TableView = { wide: false, paint: plain },
  empty = 'nothing to show',
): string {
  if (rows.length === 0) return view.headers === false ? '' : `${empty}\n`;
  const shown = columns.filter((column) => view.wide || column.wide !== true);
  const cells = rows.map((row) => shown.map((column) => cellText(column.value(row))));
  const right = shown.map((column) => column.right ?? isNumeric(rows.map((row) => column.value(row))));
  const headers = shown.map(({ header }) => (view.headers === false ? '' : header));
  const widths = headers.map((text, at) => Math.max(text.length, ...cells.map((line) => width(line[at]!))));
  const layout = (line: readonly string[], tone: (at: number) => Tone | null): string =>
    line
      .map((text, at) => {
        const padding = ' '.repeat(widths[at]! - width(text));
        const own = tone(at);
        const painted = own === null ? text : view.paint(text, own);
        return right[at] ? padding + painted : painted + padding;
      })
      .join(gap)
      .trimEnd();
  const first = view.headers === false ? [] : [layout(headers, () => 'strong')];
  const body = rows.map((row, index) => layout(cells[index]!, (at) => shown[at]!.tone?.(row) ?? null));
  return `${[...first, ...body].join('\n')}\n`;
}

/** Bytes in the unit that reads best: `312B`, `4.2kB`, `1.3MB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${units[unit]}`;
}

/** The age of an RFC 3339 time as kubectl writes it: `42s`, `7m`, `3h`, `12d`; '-' for what is no time. */
export function ageText(time: string | null | undefined, nowMs: number): string {
  const seconds = Math.floor((nowMs - Date.parse(time ?? '')) / 1000);
  if (Number.isNaN(seconds)) return '-';
  if (seconds < 120) return `${Math.max(0, seconds)}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

function cellText(value: string | number | null | undefined): string {
  return value === null || value === undefined || value === '' ? '-' : String(value).replaceAll('\n', ' ');
}

function isNumeric(values: readonly unknown[]): boolean {
  const present = values.filter((value) => value !== null && value !== undefined);
  return present.length > 0 && present.every((value) => typeof value === 'number');
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
