// "Can STRICT be turned on?": what a PeerAuthentication for the mesh or a namespace would do to the calls that were
// seen, and what nobody has seen yet.
import { readManifests } from '../kube/manifests.ts';
import type { Workload } from '../model/types.ts';
import type { Call } from './calls.ts';
import { differenceOf } from './differences.ts';
import { calleeOf, callerOf, type SeenMesh } from './simulate.ts';

export interface PlaintextCaller {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  /** RFC 3339. */
  readonly lastSeen: string;
  /** `refused`: STRICT would end it; `exempt`: another PeerAuthentication lets it in all the same. */
  readonly withStrict: 'refused' | 'refused already' | 'exempt';
}

/** Part of a contract: `simulate --strict -o json`. */
export interface StrictAnswer {
  /** `unknown` where no flow was seen that could tell. */
  readonly answer: 'yes' | 'no' | 'unknown';
  /** Null for the whole mesh. */
  readonly namespace: string | null;
  /** Flows into it. */
  readonly flows: number;
  readonly plaintext: readonly PlaintextCaller[];
  /** Outside the mesh, and not seen to call: `NAMESPACE/OWNER`. */
  readonly callersNeverSeen: readonly string[];
  /** In it and outside the mesh: STRICT protects nothing of them. */
  readonly notEnrolled: readonly string[];
  /** PeerAuthentications that let plaintext in all the same: `NAMESPACE/NAME`. */
  readonly exceptions: readonly string[];
  /** The object that turns it on, as YAML. */
  readonly manifest: string;
}

const systemNamespace = 'ambient-system';

/** Answers for the whole mesh (`namespace` null) or a namespace. */
export function canBeStrict(seen: SeenMesh, namespace: string | null): StrictAnswer {
  const name = nameOfDefault(seen, namespace ?? systemNamespace);
  const manifest = strictManifest(name, namespace ?? systemNamespace);
  const after = seen.mesh.copy();
  after.change(readManifests([{ text: manifest, file: '' }]).resources, []);
  const rows = new Map<string, { -readonly [Key in keyof PlaintextCaller]: PlaintextCaller[Key] }>();
  let flows = 0;
  for (const call of seen.calls) {
    const to = seen.mesh.workloadOf(call.destination);
    if (to === null || to.tunnelProtocol !== 'HBONE' || !(namespace === null || to.namespace === namespace)) continue;
    flows += call.count;
    if (call.observed.transport !== 'plaintext') continue;
    const difference = differenceOf(seen.mesh, after, call);
    if (difference === 'unknown') continue;
    const withStrict =
      difference?.effects[0] === 'refused' ? 'refused' : isRefused(call) ? 'refused already' : 'exempt';
    const [from, callee] = [callerOf(seen.mesh, call), calleeOf(seen.mesh, call)];
    const key = JSON.stringify([from, callee, withStrict]);
    const row = rows.get(key) ?? { from, to: callee, count: 0, lastSeen: '', withStrict };
    row.count += call.count;
    if (call.lastSeen > row.lastSeen) row.lastSeen = call.lastSeen;
    rows.set(key, row);
  }
  const plaintext = [...rows.values()].sort((a, b) => rankOf(a) - rankOf(b) || b.count - a.count);
  const callers = new Set(plaintext.map(({ from }) => from));
  const outside = [...seen.mesh.index.workloads()].filter(isOutside);
  const inScope = outside.filter((one) => namespace === null || one.namespace === namespace);
  const isBroken = plaintext.some(({ withStrict }) => withStrict === 'refused');
  return {
    answer: isBroken ? 'no' : flows === 0 ? 'unknown' : 'yes',
    namespace,
    flows,
    plaintext,
    callersNeverSeen: titlesOf(outside).filter((one) => !callers.has(one)),
    notEnrolled: titlesOf(inScope),
    exceptions: exceptionsOf(seen, name, namespace),
    manifest,
  };
}

/** The name of what says so for the namespace as a whole today; `default` where nothing does. */
function nameOfDefault(seen: SeenMesh, namespace: string): string {
  for (const one of seen.mesh.resources()) {
    const isWhole = one.kind === 'PeerAuthentication' && Object.keys(one.selector ?? {}).length === 0;
    if (isWhole && one.namespace === namespace) return one.name;
  }
  return 'default';
}

function exceptionsOf(seen: SeenMesh, replaced: string, namespace: string | null): string[] {
  const found: string[] = [];
  for (const one of seen.mesh.resources()) {
    if (one.kind !== 'PeerAuthentication' || (namespace !== null && one.namespace !== namespace)) continue;
    if (one.namespace === (namespace ?? systemNamespace) && one.name === replaced) continue;
    const modes = [one.mtls, ...one.portLevelMtls.map(({ mode }) => mode)];
    if (modes.some((mode) => mode === 'PERMISSIVE' || mode === 'DISABLE')) found.push(`${one.namespace}/${one.name}`);
  }
  return found.sort();
}

function isRefused({ observed }: Call): boolean {
  return observed.verdict === 'deny';
}

function rankOf({ withStrict }: PlaintextCaller): number {
  return ['refused', 'refused already', 'exempt'].indexOf(withStrict);
}

function isOutside({ tunnelProtocol, namespace, hostNetwork }: Workload): boolean {
  return tunnelProtocol !== 'HBONE' && !hostNetwork && namespace !== systemNamespace && namespace !== 'kube-system';
}

function titlesOf(workloads: readonly Workload[]): string[] {
  return [...new Set(workloads.map((one) => `${one.namespace}/${one.workloadName}`))].sort();
}

function strictManifest(name: string, namespace: string): string {
  return `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
  mtls:
    mode: STRICT
`;
}
