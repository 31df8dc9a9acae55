// Tables (`Accept: application/json;as=Table`): the columns that `kubectl get` shows for the usual kinds, and those
// that a
// CustomResourceDefinition asks for.
import type { KubeObject } from '../objects.ts';
import { valuesAt } from './json-path.ts';
import type { ResourceType } from './resources.ts';

export interface ColumnDefinition {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

type Cell = string | number | boolean | null;
// biome-ignore lint/suspicious/noExplicitAny: a column reads whatever fields its kind has
type Fields = any;

interface TableColumn {
  readonly name: string;
  readonly type?: 'integer' | 'boolean';
  /** Only with `-o wide`. */
  readonly isWide?: boolean;
  readonly cell: (object: Fields, nowMs: number) => Cell;
}

/** The columns of a kind, the name first. */
export function columnsOf(type: ResourceType): ColumnDefinition[] {
  return tableOf(type).map(({ name, type: cellType = 'string', isWide = false }) => ({
    name,
    type: cellType,
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority: isWide ? 1 : 0,
  }));
}

/** The cells of one object. */
export function rowOf(type: ResourceType, object: KubeObject, nowMs: number): Cell[] {
  return tableOf(type).map(({ cell }) => cell(object, nowMs));
}

/** `95s`, `12m`, `3h10m`, `26h`, `5d4h`: ages as kubectl writes them (duration.HumanDuration of apimachinery). */
export function humanAge(ms: number): string {
  const seconds = Math.max(Math.floor(ms / 1000), 0);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const years = Math.floor(days / 365);
  const pair = (big: number, unit: string, small: number, smallUnit: string): string =>
    small === 0 ? `${big}${unit}` : `${big}${unit}${small}${smallUnit}`;
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (years < 2) return `${days}d`;
  return years < 8 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

function ageOf(time: unknown, nowMs: number): string {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? '<unknown>' : humanAge(nowMs - ms);
}

const nameColumn: TableColumn = { name: 'Name', cell: ({ metadata }) => metadata.name };
const age: TableColumn = { name: 'Age', cell: ({ metadata }, nowMs) => ageOf(metadata.creationTimestamp, nowMs) };
const createdAt: TableColumn = { name: 'Created At', cell: ({ metadata }) => metadata.creationTimestamp };

const orNone = (text: unknown): string =>
  text === undefined || text === null || text === '' ? '<none>' : String(text);
const listed = (items: readonly unknown[] | undefined): string =>
  items === undefined || items.length === 0 ? '<none>' : items.join(',');
const pairs = (labels: Record<string, string> | undefined): string =>
  listed(Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`));
const sizeOf = (value: object | undefined): number => Object.keys(value ?? {}).length;
const templateColumns: readonly TableColumn[] = [
  { name: 'Containers', isWide: true, cell: ({ spec }) => containers(spec, 'name') },
  { name: 'Images', isWide: true, cell: ({ spec }) => containers(spec, 'image') },
  { name: 'Selector', isWide: true, cell: ({ spec }) => pairs(spec.selector?.matchLabels) },
];

function containers(spec: Fields, field: 'name' | 'image'): string {
  return (spec.template?.spec?.containers ?? []).map((each: Fields) => each[field]).join(',');
}

const count = (name: string, cell: (object: Fields) => number): TableColumn => ({ name, type: 'integer', cell });

/** By `KIND` or `KIND.GROUP`. */
const tables: Readonly<Record<string, readonly TableColumn[]>> = {
  Namespace: [nameColumn, { name: 'Status', cell: ({ status }) => status?.phase ?? 'Active' }, age],
  Node: [
    nameColumn,
    { name: 'Status', cell: nodeStatus },
    { name: 'Roles', cell: ({ metadata }) => listed(nodeRoles(metadata.labels)) },
    age,
    { name: 'Version', cell: ({ status }) => status?.nodeInfo?.kubeletVersion ?? '' },
    { name: 'Internal-IP', isWide: true, cell: ({ status }) => nodeAddress(status, 'InternalIP') },
    { name: 'External-IP', isWide: true, cell: ({ status }) => nodeAddress(status, 'ExternalIP') },
  ],
  Pod: [
    nameColumn,
    { name: 'Ready', cell: ({ spec, status }) => `${readyContainers(status)}/${spec.containers.length}` },
    { name: 'Status', cell: podStatus },
    {
      name: 'Restarts',
      cell: ({ status }) =>
        String((status?.containerStatuses ?? []).reduce((sum: number, each: Fields) => sum + each.restartCount, 0)),
    },
    age,
    { name: 'IP', isWide: true, cell: ({ status }) => orNone(status?.podIP ?? status?.podIPs?.[0]?.ip) },
    { name: 'Node', isWide: true, cell: ({ spec }) => orNone(spec.nodeName) },
    { name: 'Nominated Node', isWide: true, cell: ({ status }) => orNone(status?.nominatedNodeName) },
    { name: 'Readiness Gates', isWide: true, cell: () => '<none>' },
  ],
  Service: [
    nameColumn,
    { name: 'Type', cell: ({ spec }) => spec.type ?? 'ClusterIP' },
    { name: 'Cluster-IP', cell: ({ spec }) => orNone(spec.clusterIP) },
    { name: 'External-IP', cell: ({ spec }) => orNone(spec.externalName) },
    { name: 'Port(s)', cell: ({ spec }) => listed((spec.ports ?? []).map(portText)) },
    age,
    { name: 'Selector', isWide: true, cell: ({ spec }) => pairs(spec.selector) },
  ],
  ServiceAccount: [nameColumn, count('Secrets', ({ secrets }) => secrets?.length ?? 0), age],
  ConfigMap: [nameColumn, count('Data', ({ data, binaryData }) => sizeOf(data) + sizeOf(binaryData)), age],
  Secret: [
    nameColumn,
    { name: 'Type', cell: ({ type }) => type ?? 'Opaque' },
    count('Data', ({ data }) => sizeOf(data)),
    age,
  ],
  'Event.': [
    { name: 'Last Seen', cell: (event, nowMs) => ageOf(eventTime(event), nowMs) },
    { name: 'Type', cell: ({ type }) => type ?? 'Normal' },
    { name: 'Reason', cell: ({ reason }) => reason ?? '' },
    {
      name: 'Object',
      cell: ({ involvedObject }) => `${String(involvedObject?.kind ?? '').toLowerCase()}/${involvedObject?.name}`,
    },
    { name: 'Message', cell: ({ message }) => String(message ?? '').trim() },
    { name: 'Name', isWide: true, cell: ({ metadata }) => metadata.name },
  ],
  Deployment: [
    nameColumn,
    { name: 'Ready', cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}` },
    count('Up-to-date', ({ status }) => status?.updatedReplicas ?? 0),
    count('Available', ({ status }) => status?.availableReplicas ?? 0),
    age,
    ...templateColumns,
  ],
  ReplicaSet: [
    nameColumn,
    count('Desired', ({ spec }) => spec.replicas ?? 1),
    count('Current', ({ status }) => status?.replicas ?? 0),
    count('Ready', ({ status }) => status?.readyReplicas ?? 0),
    age,
    ...templateColumns,
  ],
  StatefulSet: [
    nameColumn,
    { name: 'Ready', cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}` },
    age,
    ...templateColumns.slice(0, 2),
  ],
  DaemonSet: [
    nameColumn,
    count('Desired', ({ status }) => status?.desiredNumberScheduled ?? 0),
    count('Current', ({ status }) => status?.currentNumberScheduled ?? 0),
    count('Ready', ({ status }) => status?.numberReady ?? 0),
    count('Up-to-date', ({ status }) => status?.updatedNumberScheduled ?? 0),
    count('Available', ({ status }) => status?.numberAvailable ?? 0),
    { name: 'Node Selector', cell: ({ spec }) => pairs(spec.template?.spec?.nodeSelector) },
    age,
    ...templateColumns,
  ],
  EndpointSlice: [
    nameColumn,
    { name: 'AddressType', cell: ({ addressType }) => addressType },
    {
      name: 'Ports',
      cell: ({ ports }) =>
        listedOr(
          (ports ?? []).map((each: Fields) => each.port ?? '*'),
          '<unset>',
        ),
    },
    {
      name: 'Endpoints',
      cell: ({ endpoints }) =>
        listedOr(
          (endpoints ?? []).flatMap((each: Fields) => each.addresses),
          '<unset>',
        ),
    },
    age,
  ],
  Lease: [nameColumn, { name: 'Holder', cell: ({ spec }) => spec?.holderIdentity ?? '' }, age],
  Role: [nameColumn, createdAt],
  ClusterRole: [nameColumn, createdAt],
  RoleBinding: [nameColumn, { name: 'Role', cell: ({ roleRef }) => `${roleRef.kind}/${roleRef.name}` }, age],
  ClusterRoleBinding: [nameColumn, { name: 'Role', cell: ({ roleRef }) => `${roleRef.kind}/${roleRef.name}` }, age],
  NetworkPolicy: [nameColumn, { name: 'Pod-Selector', cell: ({ spec }) => pairs(spec?.podSelector?.matchLabels) }, age],
  PodDisruptionBudget: [
    nameColumn,
    { name: 'Min Available', cell: ({ spec }) => String(spec?.minAvailable ?? 'N/A') },
    { name: 'Max Unavailable', cell: ({ spec }) => String(spec?.maxUnavailable ?? 'N/A') },
    count('Allowed Disruptions', ({ status }) => status?.disruptionsAllowed ?? 0),
    age,
  ],
  CustomResourceDefinition: [nameColumn, createdAt],
  ValidatingWebhookConfiguration: [nameColumn, count('Webhooks', ({ webhooks }) => webhooks?.length ?? 0), age],
  // As the definitions of the Gateway API have it.
  Gateway: [
    nameColumn,
    { name: 'Class', cell: ({ spec }) => spec?.gatewayClassName ?? '' },
    { name: 'Address', cell: ({ status }) => status?.addresses?.[0]?.value ?? null },
    { name: 'Programmed', cell: ({ status }) => conditionOf(status, 'Programmed') },
    age,
  ],
  HTTPRoute: [nameColumn, { name: 'Hostnames', cell: ({ spec }) => hostnames(spec) }, age],
  GRPCRoute: [nameColumn, { name: 'Hostnames', cell: ({ spec }) => hostnames(spec) }, age],
};

const plain: readonly TableColumn[] = [nameColumn, createdAt];
const plainCustom: readonly TableColumn[] = [nameColumn, age];

function tableOf(type: ResourceType): readonly TableColumn[] {
  if (type.columns.length > 0) return [nameColumn, ...type.columns.map(customColumn)];
  // A kind that its definition gives no columns to has name and age, whatever others of its name have.
  if (type.isCustom && type.schema !== null) return plainCustom;
  return tables[`${type.kind}.${type.group}`] ?? tables[type.kind] ?? (type.isCustom ? plainCustom : plain);
}

function customColumn({ name, type, jsonPath, priority = 0 }: ResourceType['columns'][number]): TableColumn {
  return {
    name,
    ...(type === 'integer' || type === 'boolean' ? { type } : {}),
    isWide: priority > 0,
    cell: (object, nowMs) => {
      const [value] = valuesAt(object, jsonPath);
      if (value === undefined || value === null) return type === 'date' ? '<unknown>' : null;
      if (type === 'date') return ageOf(value, nowMs);
      if (type === 'integer') return Number(value);
      if (type === 'boolean') return value === true;
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    },
  };
}

function nodeStatus({ spec, status }: Fields): string {
  const ready = (status?.conditions ?? []).find((each: Fields) => each.type === 'Ready');
  const word = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

const rolePrefix = 'node-role.kubernetes.io/';

function nodeRoles(labels: Record<string, string> = {}): string[] {
  return Object.keys(labels).flatMap((key) => (key.startsWith(rolePrefix) ? [key.slice(rolePrefix.length)] : []));
}

function nodeAddress(status: Fields, type: string): string {
  return orNone((status?.addresses ?? []).find((each: Fields) => each.type === type)?.address);
}

function readyContainers(status: Fields): number {
  return (status?.containerStatuses ?? []).filter((each: Fields) => each.ready === true).length;
}

function podStatus({ metadata, status }: Fields): string {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  for (const { state } of status?.containerStatuses ?? []) {
    const word = state?.waiting?.reason ?? state?.terminated?.reason;
    if (word !== undefined) return word;
  }
  return status?.reason ?? status?.phase ?? 'Unknown';
}

function portText({ port, nodePort, protocol = 'TCP' }: Fields): string {
  return nodePort === undefined ? `${port}/${protocol}` : `${port}:${nodePort}/${protocol}`;
}

function listedOr(items: readonly unknown[], otherwise: string): string {
  const shownMax = 3;
  if (items.length === 0) return otherwise;
  const more = items.length > shownMax ? ` + ${items.length - shownMax} more...` : '';
  return items.slice(0, shownMax).join(',') + more;
}

function eventTime(event: Fields): unknown {
  return event.lastTimestamp ?? event.series?.lastObservedTime ?? event.eventTime ?? event.metadata.creationTimestamp;
}

function conditionOf(status: Fields, type: string): string | null {
  return (status?.conditions ?? []).find((each: Fields) => each.type === type)?.status ?? null;
}

function hostnames(spec: Fields): string | null {
  return spec?.hostnames === undefined ? null : JSON.stringify(spec.hostnames);
}
