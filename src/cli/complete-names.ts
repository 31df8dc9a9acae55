// Live names for completion: of the lab or the cluster that the words so far mean. It has a second, and says nothing
// where nobody answers: a completion that waits or complains is worse than none.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { listLabs } from '../lab/control-client.ts';
import type { Labels } from '../model/resources.ts';
import type { CliIo } from './io.ts';
import type { OperableMesh } from './mesh.ts';
import { isWaypointObject } from './waypoint-gateways.ts';
import { meshOf } from './which-mesh.ts';

/** A candidate and what it is. */
export type Candidate = readonly [value: string, about: string];

/** A place in a command line where a name stands. */
export interface NamePlace {
  /** `waypoint delete`. */
  readonly command: string;
  /** The value of this option is asked for. */
  readonly option?: string;
  /** This argument is. */
  readonly argument?: string;
  /** Options so far. */
  readonly values: ReadonlyMap<string, string>;
  /** The word so far. */
  readonly current: string;
}

type NameKind =
  | 'labs'
  | 'nodes'
  | 'pods'
  | 'parts'
  | 'programs'
  | 'places'
  | 'ends'
  | 'namespaces'
  | 'accounts'
  | 'services'
  | 'waypoints'
  | 'waypointNames'
  | 'routes'
  | 'targets'
  | 'kinds'
  | 'labels'
  | 'shells'
  | 'levels'
  | 'groups'
  | 'contexts'
  | 'objects'
  | 'proofs'
  | 'durations'
  | 'methods'
  | 'files'
  | 'none';

const timeoutMs = 1_000;
/** Kinds that `enroll` takes by name, and the word for each. */
const enrolledKinds = [
  ['Deployment', 'deploy'],
  ['StatefulSet', 'sts'],
  ['DaemonSet', 'ds'],
  ['Service', 'svc'],
] as const;

/** By `COMMAND OPTION`, else by the option alone. */
const optionNames: Readonly<Record<string, NameKind>> = {
  lab: 'labs',
  node: 'nodes',
  namespace: 'namespaces',
  systemNamespace: 'namespaces',
  fromNamespace: 'namespaces',
  toNamespace: 'namespaces',
  pod: 'pods',
  fromPod: 'pods',
  toPod: 'pods',
  toService: 'services',
  route: 'routes',
  waypoint: 'waypoints',
  'enroll waypoint': 'waypointNames',
  level: 'levels',
  include: 'groups',
  exclude: 'groups',
  context: 'contexts',
  file: 'files',
  selector: 'labels',
  label: 'labels',
  fromLabel: 'labels',
  toLabel: 'labels',
  last: 'durations',
  since: 'durations',
  window: 'durations',
  timeout: 'durations',
  settle: 'durations',
  'tap last': 'none',
  'simulate delete': 'objects',
  'test test': 'proofs',
  'test namespace': 'none',
  'test image': 'none',
  'why method': 'methods',
  'why port': 'none',
  'why path': 'none',
  'why header': 'none',
  'why claims': 'none',
};

/** Whose labels `-l` means, by command; pods' elsewhere. */
const labelledKinds: Readonly<Record<string, string>> = {
  status: 'Node',
  enroll: 'Namespace',
  unenroll: 'Namespace',
  'config services': 'Service',
  'config policies': 'AuthorizationPolicy',
  'config routes': 'Service',
  'config ejected': 'Service',
  'waypoint list': 'Gateway',
  'waypoint status': 'Gateway',
  'waypoint delete': 'Gateway',
};

/** By `COMMAND ARGUMENT`, else by the argument alone. */
const argumentNames: Readonly<Record<string, NameKind>> = {
  name: 'labs',
  'waypoint status name': 'waypointNames',
  'waypoint apply name': 'none',
  'waypoint generate name': 'none',
  names: 'waypointNames',
  targets: 'targets',
  pod: 'pods',
  where: 'places',
  part: 'parts',
  'log part': 'programs',
  'lab restart part': 'programs',
  from: 'ends',
  to: 'ends',
  node: 'nodes',
  peer: 'nodes',
  account: 'accounts',
  kind: 'kinds',
  'stat kind': 'none',
  shell: 'shells',
  paths: 'files',
};

const staticNames: Partial<Record<NameKind, readonly string[]>> = {
  shells: ['bash', 'zsh', 'fish'],
  durations: ['30s', '1m', '5m', '10m', '1h'],
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  levels: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
  groups: ['status', 'proxies', 'flows', 'metrics', 'logs', 'objects', 'system'],
  kinds: [
    'pods',
    'services',
    'deployments',
    'namespaces',
    'nodes',
    'endpointslices',
    'authorizationpolicies',
    'peerauthentications',
    'certificaterevocations',
  ],
  none: [],
};

/** Names that fit the place; 'files' where the shell knows better. */
export async function namesFor(place: NamePlace, io: CliIo): Promise<readonly Candidate[] | 'files'> {
  const kind = kindOf(place);
  if (kind === 'files') return 'files';
  const known = staticNames[kind];
  if (known !== undefined) return known.map((name) => [name, '']);
  const stop = new AbortController();
  try {
    const late = sleep(timeoutMs, [], { signal: stop.signal }).catch(() => []);
    return await Promise.race([liveNames(kind, place, io), late]);
  } catch {
    return []; // nothing to name
  } finally {
    stop.abort();
  }
}

function kindOf({ command, option, argument }: NamePlace): NameKind {
  if (option !== undefined) return optionNames[`${command} ${option}`] ?? optionNames[option] ?? 'files';
  return argumentNames[`${command} ${argument}`] ?? argumentNames[argument ?? ''] ?? 'none';
}

async function liveNames(kind: NameKind, { command, values, current }: NamePlace, io: CliIo): Promise<Candidate[]> {
  if (kind === 'proofs') {
    const { proofs } = await import('./proofs/proofs.ts');
    return proofs.map(({ name, title }): Candidate => [name, title]);
  }
  if (kind === 'labs') return listLabs().map((lab): Candidate => [lab.name, 'running lab']);
  if (kind === 'contexts') {
    return (await contextsOf(values.get('kubeconfig'), io.env)).map((name): Candidate => [name, 'context']);
  }
  const mesh = await meshOf({ io, args: [], options: Object.fromEntries(values) });
  if (kind === 'objects') return objectNames(mesh, current, values.get('namespace'));
  if (kind === 'labels') return labelNames(mesh, labelledKinds[command] ?? 'Pod', values.get('namespace'));
  return namesOf(mesh, kind, values.get('namespace'));
}

/** Kinds as far as there is something of them, `KIND/`, then the objects of the kind. */
async function objectNames(mesh: OperableMesh, current: string, namespace: string | undefined): Promise<Candidate[]> {
  const { meshKinds } = await import('./simulate.ts');
  const slash = current.indexOf('/');
  const wanted = slash < 0 ? meshKinds : meshKinds.filter((kind) => kind === current.slice(0, slash));
  const found = await Promise.all(
    wanted.map(async (kind) => {
      const objects = (await mesh.objects(kind, namespace).catch(() => [])) as readonly NamedObject[];
      return objects.map(({ metadata }): Candidate => {
        const space = metadata.namespace === undefined || namespace !== undefined ? '' : `${metadata.namespace}/`;
        return slash < 0 ? [`${kind}/`, 'of this kind'] : [`${kind}/${space}${metadata.name}`, kind];
      });
    }),
  );
  return [...new Map(found.flat().map((one) => [one[0], one])).values()];
}

/** Labels as a selector has them, each once. */
async function labelNames(mesh: OperableMesh, kind: string, namespace: string | undefined): Promise<Candidate[]> {
  const objects = (await mesh.objects(kind, kind === 'Pod' ? namespace : undefined)) as readonly NamedObject[];
  const labels = objects.flatMap(({ metadata }) => Object.entries(metadata.labels ?? {}));
  const terms = new Set(labels.map(([key, value]) => `${key}=${value}`));
  return [...terms].sort().map((term): Candidate => [term, `label of a ${kind}`]);
}

async function namesOf(mesh: OperableMesh, kind: NameKind, namespace: string | undefined): Promise<Candidate[]> {
  const of = async (objectKind: string): Promise<readonly NamedObject[]> =>
    ((await mesh.objects(objectKind)) as readonly NamedObject[]).filter(
      ({ metadata }) => namespace === undefined || metadata.namespace === undefined || metadata.namespace === namespace,
    );
  switch (kind) {
    case 'nodes':
      return (await of('Node')).map(({ metadata }) => [metadata.name, 'node']);
    case 'namespaces':
      return (await of('Namespace')).map(({ metadata }) => [metadata.name, 'namespace']);
    case 'pods':
      return podNames(of, namespace);
    case 'places':
      return [...(await nodeParts(of)), ...(await podNames(of, namespace))];
    case 'programs':
      return [...(await nodeParts(of)), ...(await waypointNames(of, 'waypoint/')), ['controller', '']];
    case 'parts':
      return [...(await namesOf(mesh, 'programs', namespace)), ...(await podNames(of, namespace))];
    case 'accounts':
      return (await of('ServiceAccount')).map((one) => [objectName(one), 'service account']);
    case 'services':
      return (await of('Service')).map(({ metadata }) => [`${metadata.name}.${metadata.namespace}`, 'service']);
    case 'ends':
      return [
        ...(await podNames(of, namespace)),
        ...(await namesOf(mesh, 'services', namespace)).map(([name]): Candidate => [`svc/${name}`, 'service']),
      ];
    case 'waypoints':
      return waypointNames(of, '');
    case 'waypointNames':
      return (await of('Gateway')).filter(isWaypointObject).map(({ metadata }) => [metadata.name, 'waypoint']);
    case 'routes': {
      const kinds = await Promise.all(
        ['HTTPRoute', 'GRPCRoute', 'VirtualService'].map(async (one) => [one, await of(one)] as const),
      );
      return kinds.flatMap(([one, objects]) =>
        objects.map((object): Candidate => [`${one}/${objectName(object)}`, 'route']),
      );
    }
    case 'targets':
      return targetNames(of, namespace);
    default:
      return [];
  }
}

async function contextsOf(kubeconfig: string | undefined, env: CliIo['env']): Promise<readonly string[]> {
  const { defaultKubeconfig } = await import('./cluster-mesh.ts');
  const { parse } = await import('yaml');
  const file = kubeconfig ?? defaultKubeconfig(env);
  if (file === null) return [];
  const { contexts = [] } = parse(readFileSync(file, 'utf8')) as {
    readonly contexts?: readonly { readonly name?: unknown }[];
  };
  return contexts.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
}

function objectName({ metadata }: NamedObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

interface NamedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly spec?: { readonly nodeName?: string };
}

type ObjectsOf = (kind: string) => Promise<readonly NamedObject[]>;

async function nodeParts(of: ObjectsOf): Promise<Candidate[]> {
  return (await of('Node')).map(({ metadata }) => [`node/${metadata.name}`, 'node proxy']);
}

async function waypointNames(of: ObjectsOf, prefix: string): Promise<Candidate[]> {
  const gateways = await of('Gateway').catch(() => []);
  return gateways.filter(isWaypointObject).map((one) => [`${prefix}${objectName(one)}`, 'waypoint']);
}

async function podNames(of: ObjectsOf, namespace: string | undefined): Promise<Candidate[]> {
  const [deployments, pods] = await Promise.all([of('Deployment'), of('Pod')]);
  return [
    ...deployments.map(({ metadata }): Candidate => {
      const name = `deploy/${metadata.name}`;
      return [namespace === undefined ? `${metadata.namespace}/${name}` : name, 'a pod of it'];
    }),
    ...pods.map((pod): Candidate => [objectName(pod), `pod on ${pod.spec?.nodeName ?? 'no node yet'}`]),
  ];
}

async function targetNames(of: ObjectsOf, namespace: string | undefined): Promise<Candidate[]> {
  if (namespace === undefined) return (await of('Namespace')).map(({ metadata }) => [metadata.name, 'namespace']);
  const found = await Promise.all(enrolledKinds.map(async ([kind, word]) => [word, await of(kind)] as const));
  return found.flatMap(([word, objects]) =>
    objects.map(({ metadata }): Candidate => [`${word}/${metadata.name}`, 'whose pods are enrolled']),
  );
}
