// Objects of APIs of meshes that Ambient does not read: whoever writes one believes that it does something.
import type { UnusedObject } from '../kube/manifests.ts';
import { type FindingCode, findingCodes } from '../model/finding-codes.ts';
import { pathText, type ResourcePath } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';

const groups = ['networking.istio.io', 'telemetry.istio.io', 'extensions.istio.io', 'gateway.networking.k8s.io'];
/** Of these groups, but about what Ambient takes as it is. */
const taken: readonly string[] = ['GatewayClass'];

const outcomes: Readonly<Record<string, string>> = {
  ServiceEntry: 'its hosts are no services of the mesh, and waypoints route to none of them',
  Sidecar: 'there are no sidecars; every proxy learns what its pods need',
  EnvoyFilter: 'waypoints are no Envoys',
  WasmPlugin: 'waypoints have no plugins',
  Telemetry: 'logs, metrics and traces are as the configuration of the proxies has them',
};

/** A finding for each object that looks like one of the mesh and is not read. */
export function unusedKinds(mesh: AnalyzedMesh): ResourceIssue[] {
  return mesh.unused.flatMap((object) => {
    const { kind } = object;
    const [group = ''] = String(object.object['apiVersion'] ?? '').split('/');
    if (!groups.includes(group) || taken.includes(kind)) return [];
    const outcome = outcomes[kind] ?? 'nothing is done for it';
    return [findingAbout(object, 'AMB0002', ['kind'], `${kind} of ${group} is not read: ${outcome}`, '')];
  });
}

/** A finding about an object that the mesh is not made of. */
export function findingAbout(
  { kind, namespace, name, places }: UnusedObject,
  code: FindingCode,
  path: ResourcePath,
  message: string,
  fix: string,
): ResourceIssue {
  const { severity } = findingCodes[code];
  return { code, severity, kind, namespace, name, message, fix, place: places.at(path), field: pathText(path) };
}
