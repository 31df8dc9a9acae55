// Conditions as a table: a line for each object, or for each of its parents, with what is not as it should be.
import type { Condition, ConditionType, ObjectStatus, ParentStatus } from '../model/conditions.ts';
import { type Column, type TableView, table } from './table.ts';

interface ConditionRow {
  readonly object: string;
  readonly parent: string | null;
  readonly conditions: readonly Condition[];
}

const columns: readonly (readonly [header: string, type: ConditionType])[] = [
  ['ACCEPTED', 'Accepted'],
  ['RESOLVED_REFS', 'ResolvedRefs'],
  ['WAYPOINT_ACCEPTED', 'WaypointAccepted'],
  ['PROGRAMMED', 'Programmed'],
  ['ZTUNNEL_ACCEPTED', 'ZtunnelAccepted'],
];
/** With more than this many lines, those where all is well are only counted. */
const listedMax = 30;

/** The table, with a newline at its end; '' where no object has conditions. */
export function conditionsText(objects: readonly ObjectStatus[], shown: TableView): string {
  const rows = objects.flatMap(rowsOf);
  if (rows.length === 0) return '';
  const listed = shown.wide || rows.length <= listedMax ? rows : rows.filter((row) => firstProblem(row) !== null);
  const all: Column<ConditionRow>[] = [
    { header: 'OBJECT', value: (row) => row.object },
    { header: 'PARENT', value: (row) => row.parent },
    ...columnsOf(rows).map(
      ([header, type]): Column<ConditionRow> => ({
        header,
        value: (row) => wordOf(find(row, type)),
        tone: (row) => toneOf(find(row, type)),
      }),
    ),
    {
      header: 'GENERATION',
      wide: true,
      value: (row) => row.conditions.find((one) => one.observedGeneration !== null)?.observedGeneration,
    },
    { header: 'MESSAGE', value: (row) => firstProblem(row)?.message },
  ];
  const rest = rows.length - listed.length;
  const more = rest === 0 ? '' : `${rest} more are accepted and programmed: -o wide lists them\n`;
  return (listed.length === 0 ? '' : table(all, listed, shown)) + more;
}

/** Those that some object has: an L4 policy knows of no waypoint, a route of no node proxy. */
function columnsOf(rows: readonly ConditionRow[]): typeof columns {
  const types = new Set(rows.flatMap((row) => row.conditions.map((one) => one.type)));
  return columns.filter(([, type]) => types.has(type));
}

function rowsOf({ kind, namespace, name, conditions, parents }: ObjectStatus): ConditionRow[] {
  const object = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
  const own = conditions.length === 0 ? [] : [{ object, parent: null, conditions }];
  return [...own, ...parents.map((one) => ({ object, parent: parentText(one), conditions: one.conditions }))];
}

function parentText({ parentRef }: ParentStatus): string {
  const { kind, namespace, name, port, sectionName } = parentRef;
  const place = port ?? sectionName;
  return `${kind} ${namespace}/${name}${place === undefined ? '' : `:${place}`}`;
}

function find(row: ConditionRow, type: ConditionType): Condition | null {
  return row.conditions.find((one) => one.type === type) ?? null;
}

/** `yes`, or the reason why not. */
function wordOf(condition: Condition | null): string | null {
  if (condition === null) return null;
  return condition.status === 'True' ? 'yes' : condition.reason;
}

function toneOf(condition: Condition | null): 'good' | 'bad' | null {
  if (condition === null) return null;
  return condition.status === 'True' ? 'good' : 'bad';
}

/** The first condition that is not as one would have it; null when all are. */
function firstProblem({ conditions }: ConditionRow): Condition | null {
  const isBad = ({ type, status }: Condition): boolean => (status === 'True') === (type === 'PartiallyInvalid');
  return conditions.find(isBad) ?? null;
}
