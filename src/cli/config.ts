// `ambientctl config …`: what a proxy itself holds, live or from a dump that somebody saved.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../base/errors.ts';
import { jsonPlace } from '../base/json-place.ts';
import { readStandardInput } from '../base/standard-input.ts';
import type { NodeDump, ProxyDump, WaypointDump } from '../model/views.ts';
import { type Command, type CommandContext, type CommandResult, textOption } from './command.ts';
import {
  captureTable,
  certificateTable,
  connectionTable,
  policyTable,
  revocationTable,
  serviceTable,
  workloadTable,
} from './config-tables.ts';
import type { ConfigView } from './config-views.ts';
import { routeTable } from './route-rows.ts';
import { ejectedTable } from './strain.ts';
import type { TableView } from './table.ts';
import { adminView, meshOf } from './which-mesh.ts';

/** The command for one of the views. */
export function config(view: ConfigView): Command {
  return async (context) => {
    const { live, dump } = await readDump(context);
    const ofWaypoints = { routes: 'has no routes', ejected: 'ejects nothing' } as const;
    if ((view === 'routes' || view === 'ejected') && !isWaypoint(dump)) {
      throw new MeshError('USAGE', {
        reason: `a node proxy ${ofWaypoints[view]}; name a waypoint: --waypoint NS/NAME`,
      });
    }
    return configResult(view, dump, textOption(context, 'namespace') ?? null, live ? Date.now() : null);
  };
}

/**
 * The result for a dump that is at hand, limited to one namespace unless that is null. `nowMs` null: a saved dump,
 * whose certificates cannot be judged by today's clock.
 */
export function configResult(
  view: ConfigView,
  dump: ProxyDump,
  namespace: string | null,
  nowMs: number | null,
): CommandResult {
  const inNamespace = <Row extends { readonly namespace: string }>(rows: readonly Row[]): readonly Row[] =>
    namespace === null ? rows : rows.filter((row) => row.namespace === namespace);
  const workloads = inNamespace(dump.workloads);
  const services = inNamespace(dump.services);
  const policies = inNamespace(dump.policies);
  const identityPart = `/ns/${namespace}/`;
  const certificates = dump.certificates.filter((one) => namespace === null || one.identity.includes(identityPart));
  // A dump that was saved earlier has none.
  const revocations = inNamespace(dump.revocations ?? []);
  const connections = dump.connections.filter(
    (one) => namespace === null || one.source.namespace === namespace || one.destination.namespace === namespace,
  );
  const ofNamespace = ({ service }: { readonly service: string }): boolean =>
    namespace === null || service.startsWith(`${namespace}/`);
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
  if (view !== 'all') return { data: data[view], text: tables[view] };
  const all = Object.keys(tables) as (keyof typeof tables)[];
  const notHere: readonly string[] = isWaypoint(dump) ? ['capture'] : ['routes', 'ejected'];
  const titles = all.filter((title) => !notHere.includes(title));
  return {
    data: dump,
    text: (shown) =>
      titles.map((title) => `${shown.paint(title.toUpperCase(), 'dim')}\n${tables[title](shown)}`).join('\n'),
  };
}

/** Nodes have no routes, and waypoints no capture. */
function isWaypoint(dump: ProxyDump): boolean {
  return 'waypoint' in dump;
}

async function readDump(context: CommandContext): Promise<{ live: boolean; dump: ProxyDump }> {
  const file = textOption(context, 'file');
  if (file !== undefined) return { live: false, dump: parseDump(file) };
  const node = textOption(context, 'node');
  const waypoint = textOption(context, 'waypoint');
  const mesh = await meshOf(context);
  if (waypoint !== undefined) {
    if (node !== undefined) throw new MeshError('USAGE', { reason: '--node and --waypoint exclude each other' });
    if (!/^[^/]+\/[^/]+$/.test(waypoint)) throw new MeshError('USAGE', { reason: `'${waypoint}' is not NS/NAME` });
    return { live: true, dump: (await adminView(mesh, { waypoint }, '/config_dump', 'edges')) as WaypointDump };
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
  return { live: true, dump: (await adminView(mesh, { node: name }, '/config_dump', 'edges')) as ProxyDump };
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
