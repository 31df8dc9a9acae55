// `ambientctl config …`: what a proxy itself holds, live or from a dump that somebody saved.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../base/errors.ts';
import { jsonPlace } from '../base/json-place.ts';
import { readStandardInput } from '../base/standard-input.ts';
import { converted } from '../model/converted-policies.ts';
import type { NodeDump, ProxyDump, WaypointDump } from '../model/views.ts';
import { type Command, type CommandContext, type CommandResult, namesText, textOption } from './command.ts';
import {
  captureTable,
  certificateTable,
  connectionTable,
  policyTable,
  revocationTable,
  serviceTable,
  workloadTable,
} from './config-tables.ts';
import { type ConfigView, objectWords, selectedKinds } from './config-views.ts';
import type { Mesh } from './mesh.ts';
import { routeTable } from './route-rows.ts';
import { refuseSelector, selectedKeys, selectorOption } from './selection.ts';
import { ejectedTable } from './strain.ts';
import type { TableView } from './table.ts';
import { adminView, meshOf } from './which-mesh.ts';

/** The command for one of the views. */
export function config(view: ConfigView): Command {
  return async (context) => {
    if (selectorOption(context) !== null) refuseSelector(textOption(context, 'file'));
    const { mesh, dump } = await readDump(context);
    const ofWaypoints = { routes: 'has no routes', ejected: 'ejects nothing' } as const;
    if ((view === 'routes' || view === 'ejected') && !isWaypoint(dump)) {
      throw new MeshError('USAGE', {
        reason: `a node proxy ${ofWaypoints[view]}; name a waypoint: --waypoint NS/NAME`,
      });
    }
    const selected = mesh === null ? null : await selectedKeys(context, mesh, selectedKinds[view] ?? []);
    return configResult(view, dump, {
      namespace: textOption(context, 'namespace') ?? null,
      selected,
      nowMs: mesh === null ? null : Date.now(),
    });
  };
}

/** What of a dump is shown. */
export interface ConfigWish {
  /** Null: every namespace. */
  readonly namespace: string | null;
  /** `NAMESPACE/NAME` of what `-l` selects, of the kinds of the view; null: everything. */
  readonly selected: ReadonlySet<string> | null;
  /** Null: a saved dump, whose certificates cannot be judged by today's clock. */
  readonly nowMs: number | null;
}

/** The result for a dump that is at hand. */
export function configResult(view: ConfigView, dump: ProxyDump, wish: ConfigWish): CommandResult {
  const { namespace, nowMs } = wish;
  const isMeant = (key: string): boolean => wish.selected?.has(key) ?? true;
  const inNamespace = <Row extends { readonly namespace: string }>(rows: readonly Row[]): readonly Row[] =>
    namespace === null ? rows : rows.filter((row) => row.namespace === namespace);
  const meant = <Row extends { readonly namespace: string; readonly name: string }>(rows: readonly Row[]) =>
    inNamespace(rows).filter((row) => isMeant(`${row.namespace}/${converted.originOf(row.name) ?? row.name}`));
  const workloads = meant(dump.workloads);
  const services = meant(dump.services);
  const policies = meant(dump.policies);
  const identityPart = `/ns/${namespace}/`;
  const certificates = dump.certificates.filter((one) => namespace === null || one.identity.includes(identityPart));
  // A dump that was saved earlier has none.
  const revocations = inNamespace(dump.revocations ?? []);
  const connections = dump.connections.filter(({ source, destination }) => {
    const ends = [source, destination];
    const isHere = namespace === null || ends.some((end) => end.namespace === namespace);
    return isHere && ends.some((end) => isMeant(`${end.namespace}/${end.workload}`));
  });
  const ofNamespace = ({ service }: { readonly service: string }): boolean =>
    (namespace === null || service.startsWith(`${namespace}/`)) && isMeant(service);
  const routes = (dump.routes ?? []).filter(ofNamespace);
  const { ejected: allEjected = [], refusing: allRefusing = [] } = dump as Partial<WaypointDump>;
  const ejected = { ejected: allEjected.filter(ofNamespace), refusing: allRefusing.filter(ofNamespace) };
  const tables = {
    workloads: (shown: TableView) => workloadTable(workloads, shown),
    services: (shown: TableView) => serviceTable(services, dump.workloads, shown),
    policies: (shown: TableView) => policyTable(policies, shown),
    certs: (shown: TableView) => certificateTable(certificates, shown, nowMs),
    revocations: (shown: TableView) => revocationTable(revocations, shown),
    connections: (shown: TableView) => connectionTable(connections, shown),
    routes: (shown: TableView) => routeTable(routes, shown),
    ejected: (shown: TableView) => ejectedTable(ejected, shown, nowMs),
    capture: (shown: TableView) => captureTable(capture, dump.workloads, shown),
  };
  const { capture } = dump as Partial<NodeDump>;
  const data = {
    capture: capture ?? null,
    workloads,
    services,
    policies,
    certs: certificates,
    revocations,
    connections,
    routes,
    ejected,
  };
  if (view !== 'all') return { data: data[view], text: tables[view], ...namesOf(view, data) };
  const all = Object.keys(tables) as (keyof typeof tables)[];
  const notHere: readonly string[] = isWaypoint(dump) ? ['capture'] : ['routes', 'ejected'];
  const titles = all.filter((title) => !notHere.includes(title));
  return {
    data: dump,
    text: (shown) =>
      titles.map((title) => `${shown.paint(title.toUpperCase(), 'dim')}\n${tables[title](shown)}`).join('\n'),
  };
}

/** `-o name`, where the view lists objects. */
function namesOf(view: ConfigView, data: object): Pick<CommandResult, 'also'> {
  const word = objectWords[view];
  if (word === undefined) return {};
  const rows = (data as Readonly<Record<string, readonly { readonly name: string }[]>>)[view] ?? [];
  return { also: { name: () => namesText(rows.map(({ name }) => `${word}/${name}`)) } };
}

/** Nodes have no routes, and waypoints no capture. */
function isWaypoint(dump: ProxyDump): boolean {
  return 'waypoint' in dump;
}

/** `mesh` is null for a dump that was saved. */
async function readDump(context: CommandContext): Promise<{ mesh: Mesh | null; dump: ProxyDump }> {
  const file = textOption(context, 'file');
  if (file !== undefined) return { mesh: null, dump: parseDump(file) };
  const node = textOption(context, 'node');
  const waypoint = textOption(context, 'waypoint');
  const mesh = await meshOf(context);
  if (waypoint !== undefined) {
    if (node !== undefined) throw new MeshError('USAGE', { reason: '--node and --waypoint exclude each other' });
    if (!/^[^/]+\/[^/]+$/.test(waypoint)) throw new MeshError('USAGE', { reason: `'${waypoint}' is not NS/NAME` });
    return { mesh, dump: (await adminView(mesh, { waypoint }, '/config_dump', 'edges')) as WaypointDump };
  }
  const known = await mesh.nodes();
  const only = known.length === 1 ? known[0] : undefined;
  const name = node ?? only;
  if (name === undefined)
    throw new MeshError('USAGE', {
      reason: `name a node with --node, or a waypoint with --waypoint NS/NAME: ${known.join(', ')}`,
    });
  if (!known.includes(name)) {
    throw new MeshError('NOT_FOUND', { what: `node ${name}`, hint: `there are ${known.join(', ')}` });
  }
  return { mesh, dump: (await adminView(mesh, { node: name }, '/config_dump', 'edges')) as ProxyDump };
}

function parseDump(file: string): ProxyDump {
  let text = '';
  const unreadable = (reason: string, cause?: unknown): MeshError =>
    new MeshError('INPUT_UNREADABLE', { place: `${file}${jsonPlace(cause, text)}`, reason }, { cause });
  let parsed: unknown;
  try {
    text = file === '-' ? readStandardInput() : readFileSync(file, 'utf8');
    parsed = JSON.parse(text);
  } catch (error) {
    throw unreadable(messageOf(error), error);
  }
  const fields = ['workloads', 'services', 'policies', 'certificates', 'connections'];
  const record = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>;
  if (!fields.every((field) => Array.isArray(record[field]))) {
    throw unreadable('is no dump of a proxy; save one with: ambientctl config all --node NAME -o json');
  }
  return parsed as ProxyDump;
}
