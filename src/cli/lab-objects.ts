// `ambientctl lab apply | delete | get`: the objects of a lab's API server.
import { MeshError } from '../base/errors.ts';
import type { ApplyResult } from '../lab/control-types.ts';
import { kindOf } from '../lab/kinds.ts';
import type { Labels } from '../model/resources.ts';
import {
  type Command,
  type CommandResult,
  durationOption,
  flagOption,
  listOption,
  namesText,
  textOption,
} from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Paint } from './io.ts';
import { waiting } from './progress.ts';
import { selectorOption } from './selection.ts';
import { issueText } from './status.ts';
import { ageText, type Column, table } from './table.ts';
import { labOf } from './which-mesh.ts';

const inForce = {
  what: 'every proxy to have it',
  leaves: 'the lab has the objects, and the proxies follow',
  onTerminalOnly: true,
} as const;

/** Applies manifests; returns when every proxy is in step. Exit 1, and nothing applied, when an object is refused. */
export const labApply: Command = async (context) => {
  const paths = pathsOf(listOption(context, 'file'), 'apply');
  const lab = labOf(context);
  const timeoutMs = durationOption(context, 'timeout', 60_000);
  return applyResult(await waiting(context.io, inForce, () => lab.apply(paths, timeoutMs)));
};

/** Deletes the objects that manifests name. */
export const labDelete: Command = async (context) => {
  const paths = pathsOf(listOption(context, 'file'), 'delete');
  const lab = labOf(context);
  const timeoutMs = durationOption(context, 'timeout', 60_000);
  return applyResult(await waiting(context.io, inForce, () => lab.delete(paths, timeoutMs)));
};

function pathsOf(paths: readonly string[], verb: string): readonly string[] {
  if (paths.length > 0) return paths;
  throw new MeshError('USAGE', { reason: `say what to ${verb}: -f FILE, -f FOLDER, or -f - for standard input` });
}

/** The result for an answer that is at hand. */
export function applyResult(result: ApplyResult): CommandResult {
  return {
    data: result,
    text: () => appliedText(result),
    talk: (paint) => findingsText(result, paint),
    exitCode: result.refused.length > 0 ? exitCodes.failureFound : exitCodes.fine,
  };
}

function findingsText(result: ApplyResult, paint: Paint): string {
  const findings = [...result.refused, ...result.warnings].map((issue) => issueText(issue, paint)).join('');
  return result.refused.length > 0 ? `${findings}nothing was changed\n` : findings;
}

function appliedText(result: ApplyResult): string {
  if (result.refused.length > 0) return '';
  const lines = result.applied.map((one) => {
    const name = one.namespace === '' ? one.name : `${one.namespace}/${one.name}`;
    return `${one.kind} ${name} ${one.action}\n`;
  });
  return lines.join('') || 'nothing to do\n';
}

type KubeObject = Record<string, unknown>;

/** Objects of one kind, in every namespace unless `-n` names one. */
export const labGet: Command = async (context) => {
  const [kind = '', name] = context.args;
  const namespace = flagOption(context, 'allNamespaces') ? undefined : textOption(context, 'namespace');
  const isMeant = selectorOption(context) ?? (() => true);
  const found = await labOf(context).get(kind, name, namespace);
  const objects = found.filter(({ metadata }) => isMeant((metadata as { readonly labels?: Labels }).labels));
  // A kind that has a name of its own in Kubernetes may well have no objects; any other word is more likely a slip.
  if (found.length === 0 && kindOf(kind, []) === kind) {
    throw new MeshError('NOT_FOUND', {
      what: `an object of kind '${kind}'`,
      hint: 'write it as in: ambientctl lab get pods',
    });
  }
  return getResult(objects, name !== undefined, Date.now(), flagOption(context, 'showLabels'));
};

/** The result for objects that are at hand; `single`: one was asked for by name. */
export function getResult(
  objects: readonly KubeObject[],
  single: boolean,
  nowMs: number,
  withLabels = false,
): CommandResult {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  return {
    data: single && objects.length === 1 ? objects[0] : list,
    text: (view) => {
      const columns = columnsFor(String(objects[0]?.kind ?? ''), nowMs);
      return table(withLabels ? [...columns, labelsColumn] : columns, objects, view, 'nothing of that kind');
    },
    also: { name: () => namesText(objects.map(nameOf)) },
  };
}

/** `pod/NAME`, as kubectl takes it. */
function nameOf(object: KubeObject): string {
  return `${String(object.kind).toLowerCase()}/${text(object, 'metadata', 'name')}`;
}

const labelsColumn: Column<KubeObject> = {
  header: 'LABELS',
  value: (row) =>
    Object.entries(at(row, ['metadata', 'labels']) ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
};

function columnsFor(kind: string, nowMs: number): Column<KubeObject>[] {
  if (kind === 'Event') return eventColumns(nowMs);
  const own = columnsOfKind[kind] ?? [];
  return [
    { header: 'NAMESPACE', value: (row) => text(row, 'metadata', 'namespace') },
    { header: 'NAME', value: (row) => text(row, 'metadata', 'name') },
    ...own,
    { header: 'AGE', value: (row) => ageText(text(row, 'metadata', 'creationTimestamp'), nowMs), right: true },
  ];
}

/** As kubectl shows them: their names say nothing. */
function eventColumns(nowMs: number): Column<KubeObject>[] {
  const object = (row: KubeObject, field: string): string => text(row, 'involvedObject', field) ?? '';
  return [
    { header: 'NAMESPACE', value: (row) => text(row, 'metadata', 'namespace') },
    { header: 'LAST', value: (row) => ageText(text(row, 'lastTimestamp'), nowMs), right: true },
    { header: 'COUNT', value: (row) => text(row, 'count'), right: true },
    { header: 'TYPE', value: (row) => text(row, 'type') },
    { header: 'REASON', value: (row) => text(row, 'reason') },
    { header: 'OBJECT', value: (row) => `${object(row, 'kind').toLowerCase()}/${object(row, 'name')}` },
    { header: 'MESSAGE', value: (row) => text(row, 'message') },
  ];
}

/** The worst of all parents: what is False anywhere is worth a look. */
const conditionColumns: readonly Column<KubeObject>[] = [
  { header: 'ACCEPTED', value: (row) => conditionText(row, 'Accepted') },
  { header: 'RESOLVED', value: (row) => conditionText(row, 'ResolvedRefs') },
  { header: 'PROGRAMMED', value: (row) => conditionText(row, 'Programmed') },
];

const columnsOfKind: Readonly<Record<string, readonly Column<KubeObject>[]>> = {
  Pod: [
    { header: 'READY', value: (row) => condition(row, 'Ready') },
    { header: 'STATUS', value: (row) => text(row, 'status', 'phase') },
    { header: 'IP', value: (row) => text(row, 'status', 'podIP') },
    { header: 'NODE', value: (row) => text(row, 'spec', 'nodeName') },
  ],
  Service: [
    { header: 'TYPE', value: (row) => text(row, 'spec', 'type') ?? 'ClusterIP' },
    { header: 'CLUSTER_IP', value: (row) => text(row, 'spec', 'clusterIP') },
    {
      header: 'PORTS',
      value: (row) =>
        list(row, 'spec', 'ports')
          .map((port) => text(port, 'port'))
          .join(','),
    },
  ],
  EndpointSlice: [
    {
      header: 'ENDPOINTS',
      value: (row) =>
        list(row, 'endpoints')
          .flatMap((one) => strings(one.addresses))
          .join(','),
    },
  ],
  Deployment: [{ header: 'REPLICAS', value: (row) => text(row, 'spec', 'replicas') ?? '1' }],
  AuthorizationPolicy: [{ header: 'ACTION', value: (row) => text(row, 'spec', 'action') ?? 'ALLOW' }],
  HTTPRoute: conditionColumns,
  GRPCRoute: conditionColumns,
  VirtualService: [
    { header: 'HOSTS', value: (row) => strings(at(row, ['spec', 'hosts'])).join(',') },
    ...conditionColumns,
  ],
  DestinationRule: [{ header: 'HOST', value: (row) => text(row, 'spec', 'host') }, ...conditionColumns],
  RateLimitPolicy: conditionColumns,
  TrafficPolicy: conditionColumns,
  PeerAuthentication: [{ header: 'MODE', value: (row) => text(row, 'spec', 'mtls', 'mode') ?? 'UNSET' }],
};

function at(value: unknown, keys: readonly string[]): unknown {
  let found = value;
  for (const key of keys) found = typeof found === 'object' && found !== null ? (found as KubeObject)[key] : undefined;
  return found;
}

function text(value: unknown, ...keys: string[]): string | null {
  const found = at(value, keys);
  return found === undefined || found === null ? null : String(found);
}

function list(value: unknown, ...keys: string[]): KubeObject[] {
  const found = at(value, keys);
  return Array.isArray(found) ? found : [];
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function condition(row: KubeObject, type: string): string {
  const found = list(row, 'status', 'conditions').find((one) => one.type === type);
  return found?.status === 'True' ? 'yes' : 'no';
}

/** `yes`, or the reason of the first that is False; null where no parent has the condition. */
function conditionText(row: KubeObject, type: string): string | null {
  const owners = [
    ...list(row, 'status', 'parents'),
    ...(at(row, ['status']) === undefined ? [] : [at(row, ['status'])]),
  ];
  const found = owners.flatMap((one) => list(one, 'conditions')).filter((one) => one.type === type);
  if (found.length === 0) return null;
  const bad = found.find((one) => one.status !== 'True');
  return bad === undefined ? 'yes' : (text(bad, 'reason') ?? 'no');
}
