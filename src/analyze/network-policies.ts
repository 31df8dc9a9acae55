// NetworkPolicies that keep the mesh out: peers reach an enrolled pod on the tunnel port, whatever port they asked for.
import type { UnusedObject } from '../kube/manifests.ts';
import { type FindingCode, findingCodes } from '../model/finding-codes.ts';
import { selects } from '../model/label-index.ts';
import { pathText } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { AnalyzedMesh, PodLike } from './analyzed-mesh.ts';

const tunnelPort = 15008;

type Mapping = Readonly<Record<string, unknown>>;

/** A finding for each NetworkPolicy that selects enrolled pods and lets nobody in to the tunnel port. */
export function networkPolicies(mesh: AnalyzedMesh): ResourceIssue[] {
  return mesh.unused.flatMap((policy) => {
    if (policy.kind !== 'NetworkPolicy') return [];
    const spec = mapping(policy.object['spec']);
    const pods = selectedBy(mesh, policy.namespace, spec).filter((pod) => pod.isEnrolled);
    const types = Array.isArray(spec['policyTypes']) ? spec['policyTypes'] : ['Ingress'];
    if (pods.length === 0 || !types.includes('Ingress')) return [];
    const rules = Array.isArray(spec['ingress']) ? spec['ingress'].map(mapping) : [];
    // Without a rule it lets nobody in at all, which is what its author says.
    if (rules.length === 0 || rules.some(letsTunnelIn)) return [];
    const [first] = pods;
    const others = pods.length > 1 ? ` and ${pods.length - 1} more` : '';
    const title = `${first?.resource.kind} ${first?.resource.name}${others}`;
    const message = `lets nobody reach port ${tunnelPort} of ${title}: what comes through the mesh is dropped`;
    return [
      finding(policy, 'AMB1017', ['spec', 'ingress'], message, `add port ${tunnelPort}/TCP to a rule of ingress`),
    ];
  });
}

function selectedBy(mesh: AnalyzedMesh, namespace: string, spec: Mapping): readonly PodLike[] {
  const selector = mapping(spec['podSelector']);
  if (Array.isArray(selector['matchExpressions']) && selector['matchExpressions'].length > 0) return [];
  const labels = mapping(selector['matchLabels']) as Readonly<Record<string, string>>;
  return mesh.selected(namespace, {}).filter((pod) => selects(labels, pod.labels));
}

function letsTunnelIn(rule: Mapping): boolean {
  const { ports } = rule;
  if (!Array.isArray(ports) || ports.length === 0) return true;
  return ports.map(mapping).some(({ port, endPort, protocol }) => {
    if (protocol !== undefined && protocol !== 'TCP') return false;
    if (port === undefined) return true;
    if (typeof port !== 'number') return false;
    return port === tunnelPort || (typeof endPort === 'number' && port <= tunnelPort && tunnelPort <= endPort);
  });
}

function mapping(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {};
}

function finding(
  { kind, namespace, name, places }: UnusedObject,
  code: FindingCode,
  path: (string | number)[],
  message: string,
  fix: string,
): ResourceIssue {
  const { severity } = findingCodes[code];
  return { code, severity, kind, namespace, name, message, fix, place: places.at(path), field: pathText(path) };
}
