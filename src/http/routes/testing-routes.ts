// For tests: from manifests as a person writes them to a table, and requests as one says them.
import assert from 'node:assert/strict';
import { readManifests } from '../../kube/manifests.ts';
import { MeshCompiler } from '../../model/compiler.ts';
import type { ObjectStatus } from '../../model/conditions.ts';
import { MeshIndex } from '../../model/mesh-index.ts';
import type { ServiceRoutes } from '../../model/route-types.ts';
import { defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import type { ResourceIssue } from '../../model/types.ts';
import type { MatchClaims, MatchClient, MatchRequest } from './entry-matcher.ts';
import { compileRoutes, type RouteHit, type RouteTable } from './route-table.ts';

export interface CompiledRoutes {
  readonly compiler: MeshCompiler;
  readonly index: MeshIndex;
  readonly issues: readonly ResourceIssue[];
  /** Of the service `NAME.NAMESPACE`; those of a service without routes too. */
  routes(title: string): ServiceRoutes;
  table(title: string): RouteTable;
  status(kind: string, title: string): ObjectStatus;
}

/** Compiles manifests as the controller does offline. */
export function compileRouteText(text: string): CompiledRoutes {
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system', 'istio-system'],
    expandTemplates: true,
  });
  for (const resource of readManifests([{ text, file: 'test.yaml' }]).resources) compiler.upsert(resource);
  compiler.flush();
  const index = new MeshIndex();
  index.apply(compiler.snapshot());
  const routes = (title: string): ServiceRoutes => {
    const [name = '', namespace = 'default'] = title.split('.');
    const key = `${namespace}/${name}.${namespace}.svc.cluster.local`;
    const found = compiler.mesh().routes?.find((one) => one.service === key);
    if (found !== undefined) return found;
    return defaultServiceRoutes(index.serviceByKey(key) ?? assert.fail(`no service ${title}`));
  };
  return {
    compiler,
    index,
    issues: compiler.issues(),
    routes,
    table: (title) => compileRoutes(routes(title)),
    status: (kind, title) =>
      compiler.statuses().find((one) => one.kind === kind && `${one.namespace}/${one.name}` === title) ??
      assert.fail(`no status of ${kind} ${title}`),
  };
}

/** A Service `NAME.NAMESPACE` with ports `NUMBER` or `NUMBER/NAME`, as a manifest. */
export function serviceText(title: string, ports: readonly string[] = ['80/http'], more = ''): string {
  const [name, namespace = 'default'] = title.split('.');
  const list = ports.map((one) => {
    const [number, portName = `p${number}`] = one.split('/');
    return `{name: ${portName}, port: ${number}, targetPort: 8080}`;
  });
  return `---
apiVersion: v1
kind: Service
metadata: {namespace: ${namespace}, name: ${name}${more}}
spec: {clusterIP: 10.96.0.1, selector: {app: ${name}}, ports: [${list.join(', ')}]}
`;
}

/** A request `[METHOD] TARGET` with headers `NAME: VALUE`. */
export function requestOf(line: string, headers: readonly string[] = []): MatchRequest & { readonly target: string } {
  const [first = '', second] = line.split(' ');
  const found = new Map<string, string>();
  for (const one of headers) {
    const colon = one.indexOf(':', 1);
    const name = one.slice(0, colon).toLowerCase();
    const value = one.slice(colon + 1).trim();
    found.set(name, found.has(name) ? `${found.get(name)}, ${value}` : value);
  }
  return {
    method: second === undefined ? 'GET' : first,
    target: second ?? first,
    authority: found.get('host') ?? 'service',
    scheme: 'http',
    headers: { get: (name) => found.get(name) ?? null },
  };
}

export const nobody: MatchClient = { workload: null };

/** Matches, by default as a client that nobody knows. */
export function hitOf(
  table: RouteTable,
  port: number,
  request: ReturnType<typeof requestOf>,
  client: MatchClient = nobody,
  claims: MatchClaims = null,
): RouteHit | null {
  return table.match(port, request, request.target, client, claims);
}

/** The name of the first backend's service; `404` for a miss, the status of what the mesh answers itself. */
export function outcomeOf(hit: RouteHit | null): string {
  if (hit === null) return '404';
  const { action } = hit.rule;
  switch (action.kind) {
    case 'forward': {
      const backend = action.backends[0]!;
      return backend.invalid === null
        ? (backend.service.split('/')[1]?.split('.')[0] ?? '')
        : String(backend.invalid.status);
    }
    case 'redirect':
      return String(action.redirect.status);
    default:
      return String(action.status);
  }
}
