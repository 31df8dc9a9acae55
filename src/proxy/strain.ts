// What all data threads of a waypoint hold back now, put together.
import type { EjectedListView, EjectedView, RefusingView } from '../model/views.ts';

/**
 * One row per endpoint and subset, with how many threads have ejected it, and one per limit; `of` is the number of
 * threads that were asked. Rows are in the order of their services and addresses.
 */
export function mergeStrain(threads: readonly EjectedListView[], of: number): Required<EjectedListView> {
  const ejected = new Map<string, EjectedView>();
  const refusing = new Map<string, RefusingView>();
  for (const one of threads) {
    for (const row of one.ejected)
      addTo(ejected, [row.service, row.subset, row.address], row, (a, b) => both(a, b, of));
    for (const row of one.refusing ?? [])
      addTo(refusing, [row.service, row.port, row.subset, row.limit], row, bothLimits);
  }
  const counted = [...ejected.values()].map((row) => ({ threads: { ejecting: 1, of }, ...row }));
  return { ejected: sorted(counted), refusing: sorted([...refusing.values()]) };
}

function addTo<Row>(rows: Map<string, Row>, key: readonly unknown[], row: Row, join: (a: Row, b: Row) => Row): void {
  const text = JSON.stringify(key);
  const known = rows.get(text);
  rows.set(text, known === undefined ? row : join(known, row));
}

/** Out since the first thread took it out, until the last one lets it back; the reason is of who was first. */
function both(a: EjectedView, b: EjectedView, of: number): EjectedView {
  const [first, second] = a.since <= b.since ? [a, b] : [b, a];
  const until = a.until > b.until ? a.until : b.until;
  const ejecting = (first.threads?.ejecting ?? 1) + (second.threads?.ejecting ?? 1);
  return { ...first, until, threads: { ejecting, of } };
}

/** Each thread counts for itself: values are of one thread. */
function bothLimits(a: RefusingView, b: RefusingView): RefusingView {
  const since = a.since < b.since ? a.since : b.since;
  const lastAt = a.lastAt > b.lastAt ? a.lastAt : b.lastAt;
  return { ...a, since, lastAt, refused: a.refused + b.refused };
}

function sorted<Row extends { readonly service: string; readonly subset?: string; readonly address?: string }>(
  rows: readonly Row[],
): Row[] {
  const key = ({ service, subset, address }: Row): string => `${service} ${subset} ${address}`;
  return rows.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}
