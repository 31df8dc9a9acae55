// STRICT that cuts callers off: those that were seen calling in plaintext, and those that manifests show to be outside
// the mesh.
import type { PeerAuthenticationResource, ServiceResource } from '../model/resources.ts';
import type { AnalyzedMesh, PodLike } from './analyzed-mesh.ts';
import { isWaypointPod } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import { partyOf } from './seen-edges.ts';

/** So many are named; the others are counted. */
const namedMax = 4;

/** Looks at each PeerAuthentication that refuses plaintext somewhere. */
export const strict: Analyzer = (mesh, report) => {
  const held = podsByDecider(mesh);
  if (held.size === 0) return;
  const plaintext = plaintextCallers(mesh);
  for (const [peer, pods] of held) {
    reportSeen(peer, pods, plaintext, report);
    reportOpened(mesh, peer, pods, report);
    reportOutside(mesh, peer, report);
  }
};

/** The enrolled pods that refuse plaintext, by the object that makes them do so. */
function podsByDecider(mesh: AnalyzedMesh): ReadonlyMap<PeerAuthenticationResource, readonly PodLike[]> {
  const held = new Map<PeerAuthenticationResource, PodLike[]>();
  const isStrict = mesh
    .of('PeerAuthentication')
    .some((one) => one.mtls === 'STRICT' || one.portLevelMtls.some(({ mode }) => mode === 'STRICT'));
  if (!isStrict) return held;
  for (const pod of mesh.pods) {
    if (!pod.isEnrolled) continue;
    const { decidedBy } = mesh.peers.outcomeFor(pod.namespace, pod.labels);
    const peer = decidedBy === null ? null : mesh.peers.get(decidedBy.namespace, decidedBy.name);
    if (peer === null) continue;
    const known = held.get(peer);
    if (known === undefined) held.set(peer, [pod]);
    else known.push(pod);
  }
  return held;
}

/** What is called in plaintext, and by whom. */
interface Called {
  readonly callee: string;
  readonly callers: Set<string>;
}

/** By the `NAMESPACE/NAME` of the pod or template that is called. */
function plaintextCallers(mesh: AnalyzedMesh): ReadonlyMap<string, Called> {
  const called = new Map<string, Called>();
  const plain = mesh.edges.filter((edge) => edge.transport === 'plaintext' && edge.opened + edge.refused > 0);
  if (plain.length === 0) return called;
  const podsOf = new Map<string, string[]>();
  for (const { namespace, name, workloadName } of mesh.view.workloads) {
    const key = `${namespace}/${workloadName}`;
    podsOf.set(key, [...(podsOf.get(key) ?? []), `${namespace}/${name}`]);
  }
  for (const { from, to } of plain) {
    for (const pod of podsOf.get(`${to.namespace}/${to.workload}`) ?? []) {
      const known = called.get(pod) ?? { callee: partyOf(to), callers: new Set() };
      known.callers.add(partyOf(from));
      called.set(pod, known);
    }
  }
  return called;
}

function reportSeen(
  peer: PeerAuthenticationResource,
  pods: readonly PodLike[],
  plaintext: ReadonlyMap<string, Called>,
  report: Report,
): void {
  const called = pods.flatMap(({ namespace, resource }) => plaintext.get(`${namespace}/${resource.name}`) ?? []);
  if (called.length === 0) return;
  const who = listText([...new Set(called.flatMap(({ callers }) => [...callers]))]);
  const whom = listText([...new Set(called.map(({ callee }) => callee))]);
  const message = `refuses ${who}, seen calling ${whom} in plaintext`;
  const fix =
    'take the callers into the mesh (label ambient.mesh/dataplane-mode=ambient), or make the port they need PERMISSIVE ' +
    'in portLevelMtls; ambientctl simulate --strict shows each flow';
  report(peer, 'AMB1024', modePath(peer), message, fix);
}

/** Who comes from outside the cluster has no certificate of the mesh. */
function reportOpened(
  mesh: AnalyzedMesh,
  peer: PeerAuthenticationResource,
  pods: readonly PodLike[],
  report: Report,
): void {
  const open = new Set<ServiceResource>();
  for (const pod of pods) {
    for (const service of mesh.servicesOf(pod)) {
      if (service.type === 'LoadBalancer' || service.type === 'NodePort') open.add(service);
    }
  }
  if (open.size === 0) return;
  const titles = [...open].map(({ type, namespace, name }) => `${namespace}/${name} (${type})`);
  const message = `refuses whoever comes from outside the cluster by Service ${listText(titles)}: they have no certificate`;
  const fix = 'make the port PERMISSIVE in portLevelMtls of a PeerAuthentication that selects these pods';
  report(peer, 'AMB1024', modePath(peer), message, fix);
}

/** Pods outside the mesh beside those that refuse plaintext: likely callers, though nobody was seen. */
function reportOutside(mesh: AnalyzedMesh, peer: PeerAuthenticationResource, report: Report): void {
  if (peer.selector !== null || mesh.edges.length > 0 || mesh.reachOf(peer.namespace) === null) return;
  const outside = mesh.selected(peer.namespace, {}).filter((pod) => !pod.isEnrolled && !isWaypointPod(pod));
  if (outside.length === 0) return;
  const titles = outside.map(({ resource }) => `${resource.kind} ${resource.name}`);
  const message = `refuses ${listText(titles)} of this namespace, outside the mesh, should they call a pod of the mesh`;
  const fix = 'take them into the mesh; --edges FILE, from ambientctl edges -o json, tells who really calls';
  report(peer, 'AMB1024', modePath(peer), message, fix);
}

function modePath(peer: PeerAuthenticationResource): string[] {
  return peer.mtls === 'STRICT' ? ['spec', 'mtls', 'mode'] : ['spec', 'portLevelMtls'];
}

function listText(names: readonly string[]): string {
  const more = names.length - namedMax;
  return more > 0 ? `${names.slice(0, namedMax).join(', ')} and ${more} more` : names.join(', ');
}
