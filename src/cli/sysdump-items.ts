// What a support bundle holds: one item for each file, with the way to read it. Nothing is read before it is asked for,
// and each item fails for itself.
import { version as ownVersion } from '../base/version.ts';
import { nodeName } from '../install/parts.ts';
import { prune } from '../kube/api/prune.ts';
import { gatewayNameLabel } from '../model/waypoints.ts';
import { liveKinds } from './analyze.ts';
import type { MeshPart, OperableMesh } from './mesh.ts';
import { redactLines, redactText, redactValue } from './redact.ts';
import { isWaypointObject } from './waypoint-gateways.ts';

export const groups = ['status', 'proxies', 'flows', 'metrics', 'logs', 'objects', 'system'] as const;
export type Group = (typeof groups)[number];

export interface Item {
  readonly group: Group;
  /** Within the archive. */
  readonly path: string;
  /** Its text, without secrets. */
  read(): Promise<string>;
}

export interface Inventory {
  readonly items: readonly Item[];
  /** What could not even be listed. */
  readonly failures: readonly { readonly path: string; readonly error: unknown }[];
}

export interface Scope {
  readonly systemNamespace: string;
  /** Logs since then; null for all of them. */
  readonly sinceMs: number | null;
}

const controller: MeshPart = { kind: 'controller', name: '' };
const flowsMax = 20_000;
const flowsTimeoutMs = 10_000;
/** Read whole, for these are ours: pods of the system and of waypoints, and what says why they do not run. */
const systemKinds = ['Pod', 'Deployment', 'DaemonSet', 'ConfigMap', 'Event', 'GatewayClass'] as const;
const partOfLabel = 'app.kubernetes.io/part-of';

/**
 * Everything that a mesh can be asked for. What does not answer is a failure of its own, and the rest is still listed.
 */
export async function inventoryOf(mesh: OperableMesh, scope: Scope): Promise<Inventory> {
  const failures: { path: string; error: unknown }[] = [];
  const listed = async <T>(path: string, list: () => Promise<readonly T[]>): Promise<readonly T[]> => {
    try {
      return await list();
    } catch (error) {
      failures.push({ path, error });
      return [];
    }
  };
  const nodes = await listed('proxies/node', () => nodesOf(mesh));
  const waypoints = await listed('proxies/waypoint', () => waypointsOf(mesh));
  const logs = await listed('logs', () => mesh.logSources());
  const items: Item[] = [
    ...controllerItems(mesh),
    ...nodes.flatMap((name) => proxyItems(mesh, { kind: 'node', name }, '', `proxies/node/${name}`)),
    ...waypoints.flatMap(({ name, pod }) => {
      const asked: MeshPart = pod === null ? { kind: 'waypoint', name } : controller;
      const prefix = pod === null ? '' : `/proxies/pod/${pod}`;
      return proxyItems(mesh, asked, prefix, `proxies/waypoint/${name}${pod === null ? '' : `/${pod.split('/')[1]}`}`);
    }),
    ...logs.map(({ name, read }): Item => {
      return { group: 'logs', path: `logs/${name}.log`, read: async () => redactLines(await read(scope.sinceMs)) };
    }),
    ...liveKinds.map((kind): Item => {
      return {
        group: 'objects',
        path: `objects/${kind}.json`,
        read: async () => listText(kind, await prunedOf(mesh, kind)),
      };
    }),
    ...systemKinds.map((kind): Item => {
      const read = async (): Promise<string> => listText(kind, await ownObjects(mesh, kind, scope.systemNamespace));
      return { group: 'system', path: `system/${kind}.json`, read };
    }),
  ];
  return { items, failures };
}

function controllerItems(mesh: OperableMesh): Item[] {
  const json = (path: string, adminPath: string): Item => {
    return { group: 'status', path, read: async () => jsonText(await mesh.admin(controller, adminPath)) };
  };
  return [
    {
      group: 'status',
      path: 'version.json',
      read: async () => jsonText({ ambientctl: ownVersion, runtime: process.version, mesh: mesh.title }),
    },
    json('status.json', '/status'),
    json('mesh.json', '/mesh'),
    json('certificates.json', '/certificates'),
    json('proxies.json', '/proxies'),
    { group: 'flows', path: 'flows.jsonl', read: () => flowsOf(mesh) },
    {
      group: 'metrics',
      path: 'controller/metrics.txt',
      read: async () => redactText(await mesh.text(controller, '/metrics')),
    },
    {
      group: 'status',
      path: 'controller/logging.json',
      read: async () => jsonText(await mesh.admin(controller, '/logging')),
    },
  ];
}

function proxyItems(mesh: OperableMesh, part: MeshPart, prefix: string, folder: string): Item[] {
  return [
    {
      group: 'proxies',
      path: `${folder}/config_dump.json`,
      read: async () => jsonText(await mesh.admin(part, `${prefix}/config_dump`)),
    },
    {
      group: 'metrics',
      path: `${folder}/metrics.txt`,
      read: async () => redactText(await mesh.text(part, `${prefix}/metrics`)),
    },
  ];
}

/** By the mesh, or, where the controller does not answer, by the Node objects. */
async function nodesOf(mesh: OperableMesh): Promise<readonly string[]> {
  try {
    return await mesh.nodes();
  } catch (error) {
    const nodes = (await mesh.objects('Node').catch(() => [])) as readonly NamedObject[];
    if (nodes.length === 0) throw error;
    return nodes.map(({ metadata }) => metadata.name);
  }
}

interface WaypointName {
  readonly name: string;
  /** Null where only the controller could tell. */
  readonly pod: string | null;
}

async function waypointsOf(mesh: OperableMesh): Promise<readonly WaypointName[]> {
  try {
    const { proxies } = (await mesh.admin(controller, '/proxies')) as {
      readonly proxies: readonly { readonly kind: string; readonly name: string; readonly pod: string }[];
    };
    return proxies.filter(({ kind }) => kind === 'waypoint');
  } catch {
    const gateways = (await mesh.objects('Gateway')).filter(isWaypointObject);
    return gateways.map(({ metadata }) => ({ name: `${metadata.namespace}/${metadata.name}`, pod: null }));
  }
}

async function flowsOf(mesh: OperableMesh): Promise<string> {
  const lines: string[] = [];
  for await (const line of mesh.stream(`/flows?last=${flowsMax}`, AbortSignal.timeout(flowsTimeoutMs))) {
    if (line !== '') lines.push(line);
  }
  return redactLines(
    lines
      .slice(-flowsMax)
      .map((line) => `${line}\n`)
      .join(''),
  );
}

interface NamedObject {
  readonly apiVersion?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

/** As the mesh reads them: of pods no more than names, labels, ports and addresses. */
async function prunedOf(mesh: OperableMesh, kind: string): Promise<readonly object[]> {
  const objects = (await mesh.objects(kind)) as readonly NamedObject[];
  return objects.map((object) => prune(object, kind, object.apiVersion ?? 'v1'));
}

/** Pods, events and the like of the system namespace and of waypoints; of ConfigMaps those that Ambient made. */
async function ownObjects(mesh: OperableMesh, kind: string, namespace: string): Promise<readonly object[]> {
  const objects = (await mesh.objects(kind)) as readonly NamedObject[];
  return objects.filter(({ metadata }) => {
    const { labels = {} } = metadata;
    const isMade = labels[partOfLabel] === 'ambient' || labels[gatewayNameLabel] !== undefined;
    if (kind === 'ConfigMap')
      return isMade || (metadata.namespace === namespace && metadata.name.startsWith('ambient-'));
    return metadata.namespace === undefined || metadata.namespace === namespace || isMade || metadata.name === nodeName;
  });
}

function listText(kind: string, objects: readonly object[]): string {
  return jsonText({ apiVersion: 'v1', kind: 'List', items: objects.map((object) => ({ kind, ...object })) });
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(redactValue(value), null, 1)}\n`;
}
