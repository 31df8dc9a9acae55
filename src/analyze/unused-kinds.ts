// Objects of APIs of meshes that Ambient does not read: whoever writes one believes that it does something.
import type { ResourceIssue } from '../model/types.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import { finding } from './unused-finding.ts';

const groups = ['networking.istio.io', 'extensions.istio.io', 'gateway.networking.k8s.io'];
/** Of these groups, and taken as they are, or said with words of their own. */
const taken: readonly string[] = ['GatewayClass'];

const outcomes: Readonly<Record<string, string>> = {
  ServiceEntry: 'its hosts are no services of the mesh, and waypoints route to none of them',
  Sidecar: 'there are no sidecars; every proxy learns what its pods need',
  EnvoyFilter: 'waypoints are no Envoys',
  WasmPlugin: 'waypoints have no plugins',
};

/** A finding for each object that looks like one of the mesh and is not read. */
export function unusedKinds(mesh: AnalyzedMesh): ResourceIssue[] {
  return mesh.unused.flatMap((object) => {
    const { kind } = object;
    const [group = ''] = String(object.object['apiVersion'] ?? '').split('/');
    if (!groups.includes(group) || taken.includes(kind)) return [];
    const outcome = outcomes[kind] ?? 'nothing is done for it';
    return [finding(object, 'AMB0002', ['kind'], `${kind} of ${group} is not read: ${outcome}`, '')];
  });
}
