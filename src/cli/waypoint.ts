// `ambientctl waypoint apply | generate | list | status | delete`: the Gateways that ask for waypoints, what became of
// them, and who goes through them.

import { MeshError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest-name.ts';
import type { Manifest } from '../install/parts.ts';
import type { Labels } from '../model/resources.ts';
import type { StatusView } from '../model/views.ts';
import { gatewayNameLabel, referenceOf, waypointPort } from '../model/waypoints.ts';
import {
  type Command,
  type CommandContext,
  type CommandResult,
  durationOption,
  flagOption,
  namesText,
  textOption,
} from './command.ts';
import { waypointLabel } from './enroll-plan.ts';
import { exitCodes } from './exit-codes.ts';
import { confirmed } from './io.ts';
import type { OperableMesh } from './mesh.ts';
import { waitUntil } from './progress.ts';
import { type LabelTest, selectorOption } from './selection.ts';
import { ageText, type Column, table } from './table.ts';
import { isWaypointObject, type WaypointObject } from './waypoint-gateways.ts';
import { adminView, meshOf } from './which-mesh.ts';

const gatewayClass = 'ambient-waypoint';
const forLabel = 'ambient.mesh/waypoint-for';
const waitMs = 60_000;

/** The Gateway as a manifest, printed. */
export const waypointGenerate: Command = async (context) => {
  const manifest = manifestOf(context);
  return {
    data: manifest,
    text: () => textOf(manifest),
    talk: () => 'next: pipe this into kubectl apply -f -, or: ambientctl waypoint apply\n',
  };
};

/** Makes the Gateway, lets its namespace go through it with `--enroll-namespace`, waits with `--wait`. */
export const waypointApply: Command = async (context) => {
  const manifest = manifestOf(context);
  const { name, namespace = '' } = manifest.metadata;
  const enrols = flagOption(context, 'enrollNamespace');
  if (flagOption(context, 'dryRun')) return waypointGenerate(context);
  const mesh = await meshOf(context);
  await checkNamespace(mesh, namespace);
  const action = await mesh.apply(manifest);
  if (enrols) {
    const patch = { metadata: { labels: { [waypointLabel]: name } } };
    await mesh.patch({ kind: 'Namespace', namespace: '', name: namespace }, patch);
  }
  if (flagOption(context, 'wait')) await waitProgrammed(context, mesh, namespace, name);
  const lines = [`waypoint ${namespace}/${name} ${action}\n`];
  if (enrols) lines.push(`namespace ${namespace} goes through it: ${waypointLabel}=${name}\n`);
  const step = enrols
    ? `ambientctl waypoint status -n ${namespace}`
    : `ambientctl enroll ns/${namespace} --waypoint ${name}   # or svc/NAME: who goes through it`;
  return {
    data: { name, namespace, action, namespaceEnrolled: enrols },
    text: () => lines.join(''),
    also: { name: () => `gateway/${name}\n` },
    talk: () => `next: ${step}\n`,
  };
};

function manifestOf(context: CommandContext): Manifest {
  const name = nameOf(context);
  const namespace = textOption(context, 'namespace') ?? 'default';
  const traffic = textOption(context, 'for');
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace, labels: traffic === undefined ? {} : { [forLabel]: traffic } },
    spec: { gatewayClassName: gatewayClass, listeners: [{ name: 'mesh', port: waypointPort, protocol: 'HBONE' }] },
  };
}

function nameOf(context: CommandContext): string {
  const name = context.args[0] ?? textOption(context, 'name') ?? 'waypoint';
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name) || name === 'none') {
    throw new MeshError('USAGE', { reason: `'${name}' cannot be the name of a waypoint; write it as in: waypoint` });
  }
  return name;
}

function textOf({ apiVersion, kind, metadata }: Manifest): string {
  const labels = Object.entries(metadata.labels).map(([label, value]) => `    ${label}: ${value}\n`);
  return `apiVersion: ${apiVersion}
kind: ${kind}
metadata:
  name: ${metadata.name}
  namespace: ${metadata.namespace}
${labels.length === 0 ? '' : `  labels:\n${labels.join('')}`}spec:
  gatewayClassName: ${gatewayClass}
  listeners:
    - name: mesh
      port: ${waypointPort}
      protocol: HBONE
`;
}

async function checkNamespace(mesh: OperableMesh, namespace: string): Promise<void> {
  const names = ((await mesh.objects('Namespace')) as readonly WaypointObject[]).map(({ metadata }) => metadata.name);
  if (names.includes(namespace)) return;
  const guess = didYouMean(namespace, names).replace(/^; /, '');
  throw new MeshError('NOT_FOUND', { what: `namespace ${namespace}`, hint: guess || `there are ${names.join(', ')}` });
}

async function waitProgrammed(
  context: CommandContext,
  mesh: OperableMesh,
  namespace: string,
  name: string,
): Promise<void> {
  const until = {
    what: `waypoint ${namespace}/${name}`,
    leaves: 'its Gateway stays, and the waypoint is deployed all the same',
    hint: `see: ambientctl waypoint status ${name} -n ${namespace}`,
    timeoutMs: durationOption(context, 'timeout', waitMs),
  };
  await waitUntil(context.io, until, async () => {
    const row = (await rowsOf(mesh)).find((one) => one.namespace === namespace && one.name === name);
    if (row === undefined) return 'its Gateway is not there';
    if (row.programmed && row.proxies.length > 0 && row.proxies.every(({ inStep, ready }) => inStep && ready))
      return null;
    return row.reason ?? 'its proxy has not connected yet';
  });
}

/** A waypoint as `list` and `status` show it. */
export interface WaypointRow {
  readonly namespace: string;
  readonly name: string;
  readonly class: string;
  readonly trafficType: string;
  readonly programmed: boolean;
  readonly addresses: readonly string[];
  readonly replicas: { readonly ready: number; readonly wanted: number };
  readonly proxies: readonly {
    readonly name: string;
    readonly version: string;
    readonly ready: boolean;
    readonly inStep: boolean;
    readonly behindSince: string | null;
  }[];
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  /** `namespace/NAME`, `service/NS/NAME`, `pod/NS/NAME`: whose labels name it. */
  readonly usedBy: readonly string[];
  /** What is wrong with it first of all; null when nothing is. */
  readonly reason: string | null;
  readonly createdAt: string | null;
}

interface LabelledObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/**
 * Every waypoint of a mesh whose Gateway has the labels. The controller need not answer: proxies are then unknown, and
 * so said.
 */
export async function rowsOf(mesh: OperableMesh, isMeant: LabelTest | null = null): Promise<WaypointRow[]> {
  const kinds = ['Gateway', 'Namespace', 'Service', 'Pod', 'Deployment'];
  const [gateways, namespaces, services, pods, deployments] = (await Promise.all(
    kinds.map((kind) => mesh.objects(kind)),
  )) as [object[], LabelledObject[], LabelledObject[], LabelledObject[], LabelledObject[]];
  const status = (await adminView(mesh, 'controller', '/status', 'proxies').catch(() => null)) as StatusView | null;
  const meant = gateways.filter(isWaypointObject).filter(({ metadata }) => isMeant?.(metadata.labels) ?? true);
  return meant.map((gateway) => {
    const { namespace = '', name } = gateway.metadata;
    const own = pods.filter(
      ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[gatewayNameLabel] === name,
    );
    const names = new Set(own.map(({ metadata }) => metadata.name));
    const deployment = deployments.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    const ready = own.filter(({ status: is }) =>
      is?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'),
    );
    const proxies = (status?.proxies ?? []).filter(
      (proxy) => proxy.kind === 'waypoint' && (names.has(proxy.name) || names.has(proxy.name.split('/').at(-1) ?? '')),
    );
    return rowOf(gateway, {
      replicas: { ready: ready.length, wanted: deployment?.spec?.replicas ?? own.length },
      proxies: proxies.map(({ name: proxy, version, ready: is, inStep, behindSince }) => {
        return { name: proxy, version, ready: is, inStep, behindSince };
      }),
      usedBy: usersOf(gateway, namespaces, services, pods),
      isAsked: status !== null,
    });
  });
}

function rowOf(
  gateway: WaypointObject,
  facts: Pick<WaypointRow, 'replicas' | 'proxies' | 'usedBy'> & { readonly isAsked: boolean },
): WaypointRow {
  const { isAsked, ...rest } = facts;
  const { namespace = '', name, labels = {}, creationTimestamp = null } = gateway.metadata;
  const conditions = (gateway.status?.conditions ?? []).map(({ type, status, reason = '', message = '' }) => {
    return { type, status, reason, message };
  });
  const bad = conditions.find(({ status }) => status !== 'True');
  const isProgrammed = conditions.some(({ type, status }) => type === 'Programmed' && status === 'True');
  const late = rest.proxies.find(({ ready, inStep }) => !ready || !inStep);
  const reason =
    bad !== undefined
      ? `${bad.type}: ${bad.reason}${bad.message === '' ? '' : `: ${bad.message}`}`
      : !isProgrammed
        ? 'no controller has said anything about it yet'
        : rest.replicas.ready < rest.replicas.wanted
          ? `${rest.replicas.ready} of ${rest.replicas.wanted} pods are ready`
          : late !== undefined
            ? `${late.name} is ${late.ready ? 'not in step' : 'not ready'}`
            : isAsked
              ? null
              : 'the controller does not answer';
  return {
    namespace,
    name,
    class: gateway.spec?.gatewayClassName ?? '',
    trafficType: labels[forLabel] ?? labels['istio.io/waypoint-for'] ?? 'service',
    programmed: isProgrammed,
    addresses: (gateway.status?.addresses ?? []).flatMap(({ value }) => (value === undefined ? [] : [value])),
    ...rest,
    conditions,
    reason,
    createdAt: creationTimestamp,
  };
}

function usersOf(
  { metadata: gateway }: WaypointObject,
  namespaces: readonly LabelledObject[],
  services: readonly LabelledObject[],
  pods: readonly LabelledObject[],
): string[] {
  const names = (labels: Labels, namespace: string): boolean => {
    const reference = referenceOf(namespace, labels, {});
    return reference?.name === gateway.name && reference.namespace === (gateway.namespace ?? '');
  };
  const of = (kind: string, objects: readonly LabelledObject[]): string[] =>
    objects.flatMap(({ metadata: { name, namespace, labels = {} } }) => {
      if (!names(labels, namespace ?? name)) return [];
      return [namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`];
    });
  return [...of('namespace', namespaces), ...of('service', services), ...of('pod', pods)];
}

/** Those of one namespace, or of all with `-A`. */
export const waypointList: Command = async (context) => {
  const namespace = flagOption(context, 'allNamespaces') ? undefined : textOption(context, 'namespace');
  const isMeant = selectorOption(context);
  const rows = (await rowsOf(await meshOf(context), isMeant)).filter(
    (row) => namespace === undefined || row.namespace === namespace,
  );
  return listResult(rows, namespace);
};

/** The result for waypoints that are at hand. */
export function listResult(rows: readonly WaypointRow[], namespace: string | undefined): CommandResult {
  const none = `no waypoint${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
  return {
    data: { waypoints: rows },
    text: (view) => table(columns.slice(0, listColumns), rows, view, none),
    also: { name: () => gatewayNames(rows) },
    ...(rows.length > 0
      ? {}
      : { talk: () => `next: ambientctl waypoint apply -n ${namespace ?? 'NAMESPACE'} --enroll-namespace --wait\n` }),
  };
}

const columns: readonly Column<WaypointRow>[] = [
  { header: 'NAMESPACE', value: (row) => row.namespace },
  { header: 'NAME', value: (row) => row.name },
  { header: 'TRAFFIC_TYPE', value: (row) => row.trafficType },
  {
    header: 'PROGRAMMED',
    value: (row) => (row.programmed ? 'yes' : 'no'),
    tone: (row) => (row.programmed ? 'good' : 'bad'),
  },
  { header: 'CLASS', wide: true, value: (row) => row.class },
  { header: 'ADDRESSES', wide: true, value: (row) => row.addresses.join(',') },
  { header: 'USED_BY', wide: true, value: (row) => row.usedBy.join(',') },
  { header: 'AGE', wide: true, right: true, value: (row) => ageText(row.createdAt, Date.now()) },
];
const listColumns = columns.length;

const statusColumns: readonly Column<WaypointRow>[] = [
  ...columns.slice(0, 4),
  {
    header: 'READY',
    right: true,
    value: ({ replicas }) => `${replicas.ready}/${replicas.wanted}`,
    tone: ({ replicas }) => (replicas.ready > 0 && replicas.ready >= replicas.wanted ? 'good' : 'bad'),
  },
  {
    header: 'IN_STEP',
    value: ({ proxies }) => {
      if (proxies.length === 0) return null;
      return proxies.every(({ inStep }) => inStep) ? 'yes' : 'no';
    },
    tone: ({ proxies }) => (proxies.some(({ inStep }) => !inStep) ? 'bad' : null),
  },
  { header: 'ADDRESSES', value: (row) => row.addresses.join(',') },
  { header: 'USED_BY', right: true, value: (row) => row.usedBy.length },
  { header: 'REASON', value: (row) => row.reason, tone: () => 'bad' },
];

/** One waypoint, those of a namespace, or all; exit 1 when one of them is not as it should be. */
export const waypointStatus: Command = async (context) => {
  const mesh = await meshOf(context);
  const [name] = context.args;
  const namespace = flagOption(context, 'allNamespaces') ? undefined : textOption(context, 'namespace');
  if (flagOption(context, 'wait') && name !== undefined) {
    await waitProgrammed(context, mesh, namespace ?? 'default', name);
  }
  const all = await rowsOf(mesh, selectorOption(context));
  const rows = all.filter(
    (row) => (namespace === undefined || row.namespace === namespace) && (name ?? row.name) === row.name,
  );
  if (name !== undefined && rows.length === 0) throw notThere(name, namespace ?? 'default', all);
  return statusResult(rows, namespace);
};

/** The result for waypoints that are at hand. */
export function statusResult(rows: readonly WaypointRow[], namespace: string | undefined): CommandResult {
  const none = `no waypoint${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
  return {
    data: { waypoints: rows },
    text: (view) => {
      const notes = rows.flatMap((row) =>
        row.conditions.map(({ type, status, reason, message }) => ({ row, type, status, reason, message })),
      );
      const main = table(statusColumns, rows, view, none);
      if (!view.wide || notes.length === 0) return main;
      return `${main}\n${table(conditionColumns, notes, view)}`;
    },
    exitCode: rows.some(({ reason }) => reason !== null) ? exitCodes.failureFound : exitCodes.fine,
  };
}

interface ConditionRow {
  readonly row: WaypointRow;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

const conditionColumns: readonly Column<ConditionRow>[] = [
  { header: 'WAYPOINT', value: ({ row }) => `${row.namespace}/${row.name}` },
  { header: 'CONDITION', value: ({ type }) => type },
  { header: 'STATUS', value: ({ status }) => status, tone: ({ status }) => (status === 'True' ? 'good' : 'bad') },
  { header: 'REASON', value: ({ reason }) => reason },
  { header: 'MESSAGE', value: ({ message }) => message },
];

/** Takes waypoints away; asks first, or refuses, when something still goes through one. */
export const waypointDelete: Command = async (context) => {
  const mesh = await meshOf(context);
  const isMeant = selectorOption(context);
  const isAll = flagOption(context, 'all') || isMeant !== null;
  if (!isAll && context.args.length === 0)
    throw new MeshError('USAGE', { reason: 'name waypoints, or say --all or -l SELECTOR' });
  if (isAll && context.args.length > 0)
    throw new MeshError('USAGE', { reason: 'name waypoints, or say --all or -l SELECTOR, not both' });
  const namespace = textOption(context, 'namespace') ?? 'default';
  const all = await rowsOf(mesh, isMeant);
  const here = all.filter((row) => row.namespace === namespace);
  const rows = isAll
    ? here
    : context.args.map((name) => {
        const found = here.find((row) => row.name === name);
        if (found === undefined) throw notThere(name, namespace, all);
        return found;
      });
  const used = rows.filter(({ usedBy }) => usedBy.length > 0);
  if (used.length > 0 && !flagOption(context, 'yes')) {
    const who = used.map(({ name, usedBy }) => `${namespace}/${name} by ${usedBy.slice(0, 5).join(', ')}`).join('; ');
    const question = `still used: ${who}; its routes and policies are enforced no more. Delete?`;
    if (!(await confirmed(context.io, question))) {
      const first = `ambientctl unenroll ns/${namespace} --waypoint`;
      throw new MeshError('USAGE', { reason: `still used: ${who}; take them from it first (${first}), or say -y` });
    }
  }
  for (const { name } of rows) await mesh.remove({ kind: 'Gateway', namespace, name });
  return {
    data: { deleted: rows.map(({ name }) => ({ namespace, name })) },
    text: () =>
      rows.map(({ name }) => `waypoint ${namespace}/${name} deleted\n`).join('') ||
      `no waypoint in namespace ${namespace}\n`,
    also: { name: () => gatewayNames(rows) },
    talk: () => `next: ambientctl waypoint list -A\n`,
  };
};

function gatewayNames(rows: readonly WaypointRow[]): string {
  return namesText(rows.map(({ name }) => `gateway/${name}`));
}

function notThere(name: string, namespace: string, all: readonly WaypointRow[]): MeshError {
  const names = all.map((row) => (row.namespace === namespace ? row.name : `${row.name} -n ${row.namespace}`));
  const guess = didYouMean(name, names).replace(/^; /, '');
  const among = names.length === 0 ? 'there is none; see: ambientctl waypoint apply' : `there are ${names.join(', ')}`;
  return new MeshError('NOT_FOUND', { what: `waypoint ${namespace}/${name}`, hint: guess || among });
}
