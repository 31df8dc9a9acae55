// NetworkPolicies that keep the mesh out: peers reach an enrolled pod on the tunnel port, whatever port they asked for,
// and it reaches them there; waypoints and the controller need ports of their own.
import { meets } from '../base/label-selector.ts';
import type { UnusedObject } from '../kube/manifests.ts';
import type { ResourceIssue } from '../model/types.ts';
import { gatewayNameLabel, isWaypoint } from '../model/waypoints.ts';
import { type AnalyzedMesh, isWaypointPod } from './analyzed-mesh.ts';
import { mappingOf } from './probes.ts';
import { finding } from './unused-finding.ts';

const tunnelPort = 15008;
const discoveryPort = 15012;
const webhookPort = 15017;
const dnsPort = 53;
const controllerLabels = { 'app.kubernetes.io/name': 'ambient-controller' };

type Mapping = Readonly<Record<string, unknown>>;
type Labels = Readonly<Record<string, string>>;
type Direction = 'Ingress' | 'Egress';

/** A NetworkPolicy with what it does in a direction. */
interface Judged {
  readonly policy: UnusedObject;
  readonly selector: (labels: Labels) => boolean;
  /** Null: it says nothing about the direction; []: it lets nothing through, which is what its author says. */
  readonly rules: Readonly<Record<Direction, readonly Mapping[] | null>>;
}

/** A finding for each NetworkPolicy that stands in the way of the mesh. */
export function networkPolicies(mesh: AnalyzedMesh): ResourceIssue[] {
  const policies = mesh.unused.filter(({ kind }) => kind === 'NetworkPolicy').map(judge);
  return policies.flatMap((policy) => [...enrolledPods(mesh, policy), ...ownParts(mesh, policy)]);
}

function judge(policy: UnusedObject): Judged {
  const spec = mappingOf(policy.object['spec']);
  const written = Array.isArray(spec['policyTypes']) ? spec['policyTypes'] : null;
  const types = written ?? ['Ingress', ...(spec['egress'] === undefined ? [] : ['Egress'])];
  const rulesOf = (direction: Direction, field: string): readonly Mapping[] | null => {
    if (!types.includes(direction)) return null;
    return Array.isArray(spec[field]) ? spec[field].map(mappingOf) : [];
  };
  const rules = { Ingress: rulesOf('Ingress', 'ingress'), Egress: rulesOf('Egress', 'egress') };
  return { policy, selector: selectorOf(mappingOf(spec['podSelector'])), rules };
}

function enrolledPods(mesh: AnalyzedMesh, judged: Judged): ResourceIssue[] {
  const { policy, selector } = judged;
  const pods = mesh.selected(policy.namespace, {}).filter((pod) => pod.isEnrolled && selector(pod.labels));
  const [first] = pods;
  if (first === undefined) return [];
  const others = pods.length > 1 ? ` and ${pods.length - 1} more` : '';
  const title = `${first.resource.kind} ${first.resource.name}${others}`;
  const found: ResourceIssue[] = [];
  if (isShut(judged, 'Ingress', tunnelPort)) {
    const message = `lets nobody reach port ${tunnelPort} of ${title}: what comes through the mesh is dropped`;
    const fix = `add port ${tunnelPort}/TCP to a rule of ingress`;
    found.push(finding(policy, 'AMB1017', ['spec', 'ingress'], message, fix));
  }
  if (isShut(judged, 'Egress', tunnelPort)) {
    const message = `lets ${title} reach no port ${tunnelPort}: what goes through the mesh is dropped where it leaves the pod`;
    const fix = `add port ${tunnelPort}/TCP to a rule of egress`;
    found.push(finding(policy, 'AMB1025', ['spec', 'egress'], message, fix));
  }
  return found;
}

/** Waypoints, which may not be made yet, and the controller. */
function ownParts(mesh: AnalyzedMesh, judged: Judged): ResourceIssue[] {
  const { policy, selector } = judged;
  const { namespace } = policy;
  const found: ResourceIssue[] = [];
  const need = (direction: Direction, port: number, protocol: string, part: string, why: string): void => {
    if (!isShut(judged, direction, port, protocol)) return;
    const field = direction.toLowerCase();
    const isInward = direction === 'Ingress';
    const what = isInward
      ? `lets nobody reach port ${port} of ${part}`
      : `lets ${part} reach no port ${port}/${protocol}`;
    const fix = `add port ${port}/${protocol} to a rule of ${field}`;
    found.push(finding(policy, 'AMB1026', ['spec', field], `${what}: ${why}`, fix));
  };
  for (const { name } of waypointsIn(mesh, namespace).filter(({ labels }) => selector(labels))) {
    const part = `waypoint ${name}`;
    need('Ingress', tunnelPort, 'TCP', part, 'no request gets to it');
    need('Egress', tunnelPort, 'TCP', part, 'it gets to no endpoint');
    need('Egress', discoveryPort, 'TCP', part, 'it has neither routes nor certificates from the controller');
    need('Egress', dnsPort, 'UDP', part, 'it does not find the controller by its name');
  }
  if (namespace !== mesh.options.rootNamespaces[0] || !selector(controllerOf(mesh, namespace))) return found;
  need('Ingress', discoveryPort, 'TCP', 'the controller', 'proxies get neither configuration nor certificates');
  need('Ingress', webhookPort, 'TCP', 'the controller', 'the API server cannot ask its webhook');
  return found;
}

/** The labels of waypoints: of their pods, or of those that will be made for their Gateways. */
function waypointsIn(mesh: AnalyzedMesh, namespace: string): { readonly name: string; readonly labels: Labels }[] {
  const pods = mesh.selected(namespace, {}).filter(isWaypointPod);
  const made = new Map(pods.map(({ labels }) => [labels[gatewayNameLabel] ?? '', labels]));
  const gateways = mesh.of('Gateway').filter((one) => one.namespace === namespace && isWaypoint(one));
  for (const { name } of gateways) if (!made.has(name)) made.set(name, { [gatewayNameLabel]: name });
  return [...made].map(([name, labels]) => ({ name, labels }));
}

function controllerOf(mesh: AnalyzedMesh, namespace: string): Labels {
  const pods = mesh.selected(namespace, controllerLabels);
  return pods[0]?.labels ?? controllerLabels;
}

/** The direction has rules, and none of them lets the port through. */
function isShut({ rules }: Judged, direction: Direction, port: number, protocol = 'TCP'): boolean {
  const written = rules[direction];
  return written !== null && written.length > 0 && !written.some((rule) => letsThrough(rule, port, protocol));
}

function letsThrough({ ports }: Mapping, wanted: number, wantedProtocol: string): boolean {
  if (!Array.isArray(ports) || ports.length === 0) return true;
  return ports.map(mappingOf).some(({ port, endPort, protocol = 'TCP' }) => {
    if (protocol !== wantedProtocol) return false;
    if (port === undefined) return true;
    if (typeof port !== 'number') return false;
    return port === wanted || (typeof endPort === 'number' && port <= wanted && wanted <= endPort);
  });
}

/** `matchLabels` and `matchExpressions` of a selector; one without either selects everything. */
function selectorOf(selector: Mapping): (labels: Labels) => boolean {
  const wanted = Object.entries(mappingOf(selector['matchLabels']));
  const expressions = Array.isArray(selector['matchExpressions']) ? selector['matchExpressions'].map(mappingOf) : [];
  return (labels) =>
    wanted.every(([key, value]) => labels[key] === value) && expressions.every((one) => holds(one, labels));
}

function holds({ key, operator, values }: Mapping, labels: Labels): boolean {
  const texts = Array.isArray(values) ? values.map(String) : [];
  return meets({ key: String(key), operator: String(operator), values: texts }, labels);
}
