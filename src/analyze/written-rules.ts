// The rules of routes as they are compiled, each with the object that it was written in.
import type { Resource } from '../model/resources.ts';
import type { RouteOrigin, RouteRule, ServiceRoutes } from '../model/route-types.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';

export interface WrittenRule {
  readonly rule: RouteRule;
  readonly resource: Resource;
}

/** Each rule once, however many services and ports it holds for; none for services without a waypoint. */
export function writtenRules(mesh: AnalyzedMesh): WrittenRule[] {
  const found = new Map<string, WrittenRule>();
  for (const rule of serviceRoutes(mesh).flatMap(({ ports }) => ports.flatMap(({ rules }) => rules))) {
    const { kind, namespace, name, rule: at } = rule.origin;
    const key = `${kind}/${namespace}/${name}/${at}`;
    const resource = kind === 'Service' || found.has(key) ? undefined : mesh.resource(kind, namespace, name);
    if (resource !== undefined) found.set(key, { rule, resource });
  }
  return [...found.values()];
}

/** What waypoints do for services; without what they do for pods. */
export function serviceRoutes(mesh: AnalyzedMesh): readonly ServiceRoutes[] {
  return (mesh.view.routes ?? []).filter(({ podsOf }) => podsOf === undefined);
}

/** The path of a field of a rule, which has one name in a VirtualService and another one in Gateway API. */
export function fieldOfRule(
  { kind, rule }: RouteOrigin,
  inVirtualService: string,
  ...elsewhere: readonly string[]
): (string | number)[] {
  return kind === 'VirtualService' ? ['spec', 'http', rule, inVirtualService] : ['spec', 'rules', rule, ...elsewhere];
}
