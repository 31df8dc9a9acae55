// What enrolling or unenrolling comes to: which labels change on which objects, which pods join or leave the mesh,
// which do not and why. Computed from objects alone, before anything is changed.

import { MeshError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest-name.ts';
import { enrolmentLabels, isEnrolled, modeOf } from '../model/enrolment.ts';
import type { Labels } from '../model/resources.ts';
import type { ObjectName } from './mesh.ts';

export const enrolmentLabel = enrolmentLabels[0];
export const waypointLabel = 'ambient.mesh/use-waypoint';
/** Every label that names a waypoint, or says where it is. */
const waypointLabels = [
  waypointLabel,
  `${waypointLabel}-namespace`,
  'istio.io/use-waypoint',
  'istio.io/use-waypoint-namespace',
];

/** An object as Kubernetes has it, as far as it matters here. */
export interface PlainObject {
  readonly apiVersion?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Labels;
    readonly annotations?: Labels;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: {
    readonly hostNetwork?: boolean;
    readonly selector?: unknown;
    readonly template?: { readonly metadata?: { readonly labels?: Labels } };
  };
  readonly status?: { readonly phase?: string };
}

export type ObjectsOf = (kind: string) => Promise<readonly PlainObject[]>;

export interface Wish {
  readonly verb: 'enroll' | 'unenroll';
  /** `NS`, `ns/NS`, `deploy/NAME`, `sts/NAME`, `ds/NAME`, `svc/NAME`. */
  readonly targets: readonly string[];
  /** Where what is in a namespace is looked for. */
  readonly namespace: string;
  /** For `enroll` the one to go through; for `unenroll`, not null: leave the waypoint, and nothing else. */
  readonly waypoint: string | null;
  readonly systemNamespace: string;
}

/** Labels of one object that change; null takes one away. */
export interface LabelChange extends ObjectName {
  readonly apiVersion: string;
  /** On the object itself, or on the template of its pods, which are replaced then. */
  readonly on: 'object' | 'template';
  readonly labels: Readonly<Record<string, string | null>>;
}

/** What becomes of a pod. */
export interface PodOutcome {
  readonly namespace: string;
  readonly name: string;
  readonly before: boolean;
  readonly after: boolean;
  /** Why it stays outside of the mesh, or in it; null when it does as was wished. */
  readonly why: string | null;
  /** The workload whose template changes, so that another pod takes its place; null when it stays. */
  readonly rolledBy: string | null;
}

export interface Plan {
  readonly changes: readonly LabelChange[];
  readonly pods: readonly PodOutcome[];
}

/** How kinds may be written in a target. */
export const kindWords: Readonly<Record<string, string>> = {
  ns: 'Namespace',
  namespace: 'Namespace',
  namespaces: 'Namespace',
  deploy: 'Deployment',
  deployment: 'Deployment',
  deployments: 'Deployment',
  sts: 'StatefulSet',
  statefulset: 'StatefulSet',
  ds: 'DaemonSet',
  daemonset: 'DaemonSet',
  svc: 'Service',
  service: 'Service',
  services: 'Service',
};

interface Target {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: PlainObject;
}

/** The plan. Throws USAGE for what cannot be enrolled, NOT_FOUND with a guess for what is not there. */
export async function planOf(wish: Wish, objectsOf: ObjectsOf): Promise<Plan> {
  const namespaces = await objectsOf('Namespace');
  const targets: Target[] = [];
  for (const word of wish.targets) targets.push(await targetOf(word, wish, objectsOf, namespaces));
  const changes = targets.map((target) => changeOf(target, wish, namespaces)).filter((change) => change !== null);
  const pods = await objectsOf('Pod');
  const outcomes = pods
    .filter((pod) => isAlive(pod) && targets.some((target) => covers(target, pod)))
    .map((pod) => outcomeOf(pod, wish, targets, changes, namespaces));
  return { changes, pods: outcomes };
}

async function targetOf(
  word: string,
  wish: Wish,
  objectsOf: ObjectsOf,
  namespaces: readonly PlainObject[],
): Promise<Target> {
  const words = word.split('/');
  const kind = words.length === 1 ? 'Namespace' : kindWords[(words[0] ?? '').toLowerCase()];
  const name = words.at(-1) ?? '';
  if (kind === undefined || words.length > 2 || name === '') {
    throw new MeshError('USAGE', {
      reason: `'${word}' names nothing; write NAMESPACE, ns/NAME, deploy/NAME, sts/NAME, ds/NAME or svc/NAME`,
    });
  }
  if (kind === 'Namespace') {
    if (name === wish.systemNamespace && wish.verb === 'enroll') {
      throw new MeshError('USAGE', { reason: `${name} is the mesh itself, which is never enrolled; name another` });
    }
    return { kind, namespace: '', name, object: named(namespaces, 'namespace', name) };
  }
  if (kind === 'Service' && wish.waypoint === null) {
    const instead =
      wish.verb === 'enroll'
        ? `or say which waypoint ${word} goes through: --waypoint NAME`
        : `or take ${word} from its waypoint: --waypoint`;
    const reason = 'a service is in the mesh by its pods: name its namespace or deploy/NAME';
    throw new MeshError('USAGE', { reason: `${reason}, ${instead}` });
  }
  named(namespaces, 'namespace', wish.namespace);
  const there = (await objectsOf(kind)).filter(({ metadata }) => metadata.namespace === wish.namespace);
  const object = named(there, `${kind.toLowerCase()} ${wish.namespace}/`, name);
  return { kind, namespace: wish.namespace, name, object };
}

function named(objects: readonly PlainObject[], what: string, name: string): PlainObject {
  const found = objects.find(({ metadata }) => metadata.name === name);
  if (found !== undefined) return found;
  const names = objects.map(({ metadata }) => metadata.name);
  const guess = didYouMean(name, names).replace(/^; /, '');
  const shown = names.slice(0, namesMax).join(', ');
  const among = names.length === 0 ? 'there is none' : `there are ${shown}${names.length > namesMax ? ', …' : ''}`;
  const title = what.endsWith('/') ? `${what}${name}` : `${what} ${name}`;
  throw new MeshError('NOT_FOUND', { what: title, hint: guess === '' ? among : guess });
}

const namesMax = 8;

/** What has to change; null when it says so already. */
function changeOf(target: Target, wish: Wish, namespaces: readonly PlainObject[]): LabelChange | null {
  const { kind, namespace, name, object } = target;
  const on = kind === 'Namespace' || kind === 'Service' ? 'object' : 'template';
  const labels = (on === 'object' ? object.metadata.labels : object.spec?.template?.metadata?.labels) ?? {};
  const above = kind === 'Namespace' ? {} : labelsOfNamespace(namespace, namespaces);
  const wanted: Record<string, string | null> = {};
  if (kind !== 'Service' && !(wish.verb === 'unenroll' && wish.waypoint !== null)) {
    // What its namespace enrols has to say nothing, and to stay outside it has to say no.
    const isCovered = modeOf(above) === 'ambient';
    for (const label of enrolmentLabels) wanted[label] = null;
    if (wish.verb === 'enroll' && !isCovered) wanted[enrolmentLabel] = 'ambient';
    if (wish.verb === 'unenroll' && isCovered) wanted[enrolmentLabel] = 'none';
  }
  if (wish.waypoint !== null) {
    for (const label of waypointLabels) wanted[label] = null;
    if (wish.verb === 'enroll') wanted[waypointLabel] = wish.waypoint;
    else if (waypointLabels.some((label) => above[label] !== undefined)) wanted[waypointLabel] = 'none';
  }
  const changed = Object.entries(wanted).filter(([label, value]) => (labels[label] ?? null) !== value);
  if (changed.length === 0) return null;
  const apiVersion = object.apiVersion ?? (kind === 'Namespace' || kind === 'Service' ? 'v1' : 'apps/v1');
  return { apiVersion, kind, namespace, name, on, labels: Object.fromEntries(changed) };
}

/** The patch of a change, and the manifest that says the same. */
export function patchOf({ on, labels }: LabelChange): object {
  return on === 'object' ? { metadata: { labels } } : { spec: { template: { metadata: { labels } } } };
}

function isAlive({ metadata, status }: PlainObject): boolean {
  const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return metadata.deletionTimestamp === undefined && !isOver;
}

function covers({ kind, namespace, name, object }: Target, pod: PlainObject): boolean {
  if (kind === 'Namespace') return pod.metadata.namespace === name;
  if (pod.metadata.namespace !== namespace) return false;
  const selector = object.spec?.selector as Record<string, unknown> | undefined;
  const wanted = kind === 'Service' ? selector : selector?.['matchLabels'];
  const entries = Object.entries((wanted ?? {}) as Labels);
  return entries.length > 0 && entries.every(([label, value]) => pod.metadata.labels?.[label] === value);
}

function outcomeOf(
  pod: PlainObject,
  wish: Wish,
  targets: readonly Target[],
  changes: readonly LabelChange[],
  namespaces: readonly PlainObject[],
): PodOutcome {
  const { name, namespace = '', labels = {} } = pod.metadata;
  const above = labelsOfNamespace(namespace, namespaces);
  const ofNamespace = changes.find(({ kind, name: changed }) => kind === 'Namespace' && changed === namespace);
  const ofTemplate = changes.find(
    (change) =>
      change.on === 'template' &&
      targets.some((target) => target.kind === change.kind && target.name === change.name && covers(target, pod)),
  );
  const aboveAfter = merged(above, ofNamespace);
  const labelsAfter = merged(labels, ofTemplate);
  const facts = (own: Labels, space: Labels) => ({
    namespace,
    labels: own,
    annotations: pod.metadata.annotations ?? {},
    hostNetwork: pod.spec?.hostNetwork === true,
    namespaceLabels: space,
    systemNamespace: wish.systemNamespace,
  });
  const before = isEnrolled(facts(labels, above));
  const after = isEnrolled(facts(labelsAfter, aboveAfter));
  const isAsked = wish.waypoint === null || wish.verb === 'enroll';
  const wished = isAsked ? wish.verb === 'enroll' : after;
  return {
    namespace,
    name,
    before,
    after,
    why: after === wished ? null : reasonOf(pod, labelsAfter, after),
    rolledBy: ofTemplate?.name ?? null,
  };
}

function reasonOf(pod: PlainObject, labels: Labels, isIn: boolean): string {
  if (isIn) return `its own label says ${enrolmentLabels.find((one) => labels[one] === 'ambient') ?? ''}=ambient`;
  if (pod.spec?.hostNetwork === true) return "it is in the host's network, which is never captured";
  if (pod.metadata.annotations?.['sidecar.istio.io/status'] !== undefined) return 'it has a sidecar';
  if (modeOf(labels) === 'none') {
    const label = enrolmentLabels.find((one) => labels[one] === 'none') ?? enrolmentLabel;
    return `it has opted out with ${label}=none`;
  }
  return 'its namespace is not enrolled';
}

function labelsOfNamespace(name: string, namespaces: readonly PlainObject[]): Labels {
  return namespaces.find(({ metadata }) => metadata.name === name)?.metadata.labels ?? {};
}

function merged(labels: Labels, change: LabelChange | undefined): Labels {
  if (change === undefined) return labels;
  const all: Record<string, string | null> = { ...labels, ...change.labels };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null));
}
