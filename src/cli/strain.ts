// What waypoints hold back now, as `config ejected`, `status` and `why` show it: endpoints out of rotation, limits that
// refuse.
import type { EjectedListView, EjectedView, RefusingView } from '../model/views.ts';
import { askProxies, connectedProxies } from './ask-proxies.ts';
import type { Mesh } from './mesh.ts';
import { ageText, type TableView, table } from './table.ts';

/** Said by one pod of a waypoint; `waypoint` is `NAMESPACE/NAME` of its Gateway. */
export interface StrainView {
  readonly ejected: readonly (EjectedView & { readonly waypoint: string; readonly pod: string })[];
  readonly refusing: readonly (RefusingView & { readonly waypoint: string; readonly pod: string })[];
}

/** The strain of all waypoints; those that do not answer are left out. Never rejects. */
export async function strainOfMesh(mesh: Mesh): Promise<StrainView> {
  const proxies = await connectedProxies(mesh).catch(() => []);
  const waypoints = proxies.filter(({ kind }) => kind === 'waypoint');
  const answers = await askProxies<EjectedListView>(mesh, waypoints, '/ejected');
  const all = answers.flatMap(({ proxy, answer }) =>
    answer === null ? [] : [{ ...answer, by: { waypoint: proxy.name, pod: proxy.pod } }],
  );
  return {
    ejected: all.flatMap(({ ejected = [], by }) => ejected.map((row) => ({ ...by, ...row }))),
    refusing: all.flatMap(({ refusing = [], by }) => refusing.map((row) => ({ ...by, ...row }))),
  };
}

/**
 * ENDPOINT, ADDRESS, SERVICE, SUBSET, SINCE, UNTIL, THREADS (those that ejected it, of all), REASON; and below, limits
 * that refuse. `nowMs` null: a saved dump, whose times are shown as they are.
 */
export function ejectedTable({ ejected, refusing = [] }: EjectedListView, view: TableView, nowMs: number | null) {
  const endpoints = table(
    [
      { header: 'ENDPOINT', value: (row) => `${row.namespace}/${row.workload}` },
      { header: 'ADDRESS', value: (row) => row.address },
      { header: 'SERVICE', value: (row) => row.service },
      { header: 'SUBSET', value: (row) => row.subset },
      { header: 'SINCE', value: (row) => sinceText(row.since, nowMs) },
      { header: 'UNTIL', value: (row) => untilText(row.until, nowMs) },
      { header: 'THREADS', value: (row) => threadsText(row), right: true },
      { header: 'REASON', value: (row) => row.reason, tone: () => 'bad' },
    ],
    ejected,
    view,
    'no endpoint is ejected',
  );
  if (refusing.length === 0) return endpoints;
  const limits = table(
    [
      { header: 'SERVICE', value: (row) => row.service },
      { header: 'PORT', value: (row) => row.port },
      { header: 'SUBSET', value: (row) => row.subset },
      { header: 'LIMIT', value: (row) => row.limit },
      { header: 'VALUE', value: (row) => row.value },
      { header: 'SINCE', value: (row) => sinceText(row.since, nowMs) },
      { header: 'REFUSED', value: (row) => row.refused },
      { header: 'REASON', value: (row) => row.reason, tone: () => 'bad' },
    ],
    refusing,
    view,
  );
  return `${endpoints}\n${limits}`;
}

/** One line per endpoint that is out and per limit that refuses, for `status`. */
export function strainLines({ ejected, refusing }: StrainView, { paint }: TableView, nowMs: number): string {
  const out = ejected.map((row) => {
    const what = `${row.namespace}/${row.workload} (${row.address}) is ejected from ${row.service}`;
    const times = `for ${ageText(row.since, nowMs)}, back ${untilText(row.until, nowMs)}`;
    const by = `${paint('ejected', 'warn')} by waypoint ${row.waypoint}${someThreads(row)}`;
    return `${by}: ${what}${subsetText(row.subset)} ${times}: ${row.reason}\n`;
  });
  const refused = refusing.map((row) => {
    const where = `${row.service}:${row.port}${subsetText(row.subset)}`;
    const count = `${row.refused} refused in ${ageText(row.since, nowMs)}`;
    return `${paint('refusing', 'warn')} by waypoint ${row.waypoint}, for ${where}: ${row.reason}; ${count}\n`;
  });
  return [...out, ...refused].join('');
}

/** ` (1 of 2 threads)` where not all of them have ejected it. */
export function someThreads({ threads }: EjectedView): string {
  if (threads === undefined || threads.ejecting >= threads.of) return '';
  return ` (${threads.ejecting} of its ${threads.of} threads)`;
}

/** `, subset v1`; nothing for all endpoints. */
export function subsetText(subset: string | undefined): string {
  return subset === undefined || subset === '' ? '' : `, subset ${subset}`;
}

function threadsText({ threads }: EjectedView): string | null {
  return threads === undefined ? null : `${threads.ejecting}/${threads.of}`;
}

function sinceText(time: string, nowMs: number | null): string {
  return nowMs === null ? time : ageText(time, nowMs);
}

/** `in 25s`. */
function untilText(until: string, nowMs: number | null): string {
  return nowMs === null ? until : `in ${ageText(new Date(2 * nowMs - Date.parse(until)).toISOString(), nowMs)}`;
}
