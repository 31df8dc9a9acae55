// `ambientctl why FROM TO[:PORT]`: what would happen to a connection or a request, and why; `why TO`: what is known of
// a destination for any caller. The answer is computed by
// `src/policy`, with the very code of the data path, from the mesh of a controller or from manifests.
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { formatPlace } from '../config/yaml.ts';
import { normalizeTarget } from '../http/exchange/path-normalization.ts';
import { routeExplainer } from '../http/routes/explain-route.ts';
import type { MeshCompiler } from '../model/compiler.ts';
import { MeshIndex } from '../model/mesh-index.ts';
import type { Resource } from '../model/resources.ts';
import type { MeshView } from '../model/views.ts';
import { why as explain, type WhyOptions, type WhyQuery, type WhyResult } from '../policy/why.ts';
import { splitPort } from '../policy/why-ends.ts';
import type { WhyRequest } from '../policy/why-waypoint.ts';
import { within } from './ask-proxies.ts';
import { type Command, type CommandContext, type CommandResult, listOption, textOption } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Mesh } from './mesh.ts';
import { adminView, meshOf, refuseCluster } from './which-mesh.ts';
import type { DestinationView } from './why/destination.ts';
import { whyText } from './why/text.ts';
import { liveView, offlineView } from './why/view.ts';
import type { WhyView } from './why/views.ts';

/** Exit 0 for allow, 1 for deny and unreachable; of a destination alone, 1 when something is wrong with it. */
export const why: Command = async (context) => {
  const [from, to] = context.args;
  if (from === undefined) throw new MeshError('USAGE', { reason: 'say FROM and TO[:PORT], or TO alone' });
  const namespace = textOption(context, 'namespace') ?? 'default';
  const query = { from, to: to ?? from, port: portOption(context), namespace, request: requestOption(context) };
  const paths = listOption(context, 'file');
  if (to === undefined) {
    const { destinationResult } = await import('./why/destination-text.ts');
    return destinationResult(await (paths.length > 0 ? ofManifests(context, paths, query) : ofMesh(context, query)));
  }
  return whyResult(paths.length > 0 ? await explainOffline(context, paths, query) : await explainLive(context, query));
};

/** The result for an answer that is at hand. */
export function whyResult(answer: WhyResult & Partial<WhyView>, nowMs: number = Date.now()): CommandResult {
  return {
    data: answer,
    text: (view) => whyText(answer, view, nowMs),
    exitCode: answer.verdict === 'allow' ? exitCodes.fine : exitCodes.failureFound,
  };
}

/** What is known of TO, by manifests. */
async function ofManifests(
  context: CommandContext,
  paths: readonly string[],
  query: WhyQuery,
): Promise<DestinationView> {
  const { namedDestination, offlineDestination } = await import('./why/destination.ts');
  const { index, mesh, known } = await offlineMesh(context, paths);
  return offlineDestination(
    index,
    namingRoutes(mesh, () => namedDestination(index, query, known)),
  );
}

/** What is known of TO, by a mesh that runs. */
async function ofMesh(context: CommandContext, query: WhyQuery): Promise<DestinationView> {
  const { liveDestination, namedDestination } = await import('./why/destination.ts');
  const running = await meshOf(context);
  const { mesh, unknown } = await meshViewOf(running);
  const index = indexOf(mesh);
  const known = { sameNode: 'direct', routesOf: routesOf(mesh), explainRoute: routeExplainer(index) } as const;
  const first = namingRoutes(mesh, () => namedDestination(index, query, known));
  const isStrict = first.answer.policies.some(({ kind }) => kind === 'PeerAuthentication');
  const named = isStrict ? namedDestination(index, query, { ...known, strictBy: await strictOf(running) }) : first;
  const view = await liveDestination(running, index, named, unknown.length === 0);
  return { ...view, unknown: [...unknown, ...view.unknown] };
}

/** Compiles manifests as the controller would, Deployments without pods standing as one workload each. */
async function explainOffline(context: CommandContext, paths: readonly string[], query: WhyQuery): Promise<WhyView> {
  const { resources, mesh, index, known } = await offlineMesh(context, paths);
  return offlineView(index, withPlace(explainNamed(index, mesh, query, known), resources));
}

async function offlineMesh(context: CommandContext, paths: readonly string[]): Promise<OfflineMesh> {
  refuseCluster(context, 'manifests stand for themselves');
  const { loadManifests } = await import('../kube/load.ts');
  const { resources } = await loadManifests(paths);
  const compiler = await compile(resources);
  const mesh = compiler.mesh();
  const index = indexOf(mesh);
  const known: WhyOptions = {
    sameNode: 'direct',
    explainRoute: routeExplainer(index),
    routesOf: routesOf(mesh),
    strictBy: (workload) => compiler.peerAuthenticationOf(workload),
  };
  return { resources, mesh, index, known };
}

interface OfflineMesh {
  readonly resources: readonly Resource[];
  readonly mesh: MeshView;
  readonly index: MeshIndex;
  readonly known: WhyOptions;
}

async function explainLive(context: CommandContext, query: WhyQuery): Promise<WhyView> {
  const running = await meshOf(context);
  const { mesh, unknown } = await meshViewOf(running);
  const index = indexOf(mesh);
  const known = { sameNode: 'direct', routesOf: routesOf(mesh), explainRoute: routeExplainer(index) } as const;
  const first = explainNamed(index, mesh, query, known);
  const isStrict = [first, ...(first.perEndpoint ?? [])].some((one) => one.decidedBy?.kind === 'PeerAuthentication');
  const answer = isStrict ? explain(index, query, { ...known, strictBy: await strictOf(running) }) : first;
  const view = await liveView(running, index, answer, splitPort(query.from).name, unknown.length === 0);
  return { ...view, unknown: [...unknown, ...view.unknown] };
}

/** The mesh by its controller; while that does not answer, by a node proxy. Throws why the controller does not. */
async function meshViewOf(running: Mesh): Promise<{ readonly mesh: MeshView; readonly unknown: readonly string[] }> {
  try {
    const asked = adminView(running, 'controller', '/mesh', 'workloads');
    return { mesh: (await within(asked, 'the controller', meshDeadlineMs)) as MeshView, unknown: [] };
  } catch (error) {
    for (const node of await running.nodes().catch(() => [])) {
      const asked = adminView(running, { node }, '/config_dump', 'workloads');
      const mesh = (await within(asked, node).catch(() => null)) as MeshView | null;
      if (mesh === null) continue;
      const words = `${messageOf(error)}: this is by what the proxy of ${node} holds, which knows no routes`;
      return { mesh, unknown: [words] };
    }
    throw error;
  }
}

/** A large mesh takes some hundred milliseconds. */
const meshDeadlineMs = 6_000;

/** On the wire all STRICT workloads share one policy. The object that a person wrote is found among the objects. */
async function strictOf(mesh: Mesh): Promise<NonNullable<WhyOptions['strictBy']>> {
  const { readManifests } = await import('../kube/manifests.ts');
  const kinds = ['Namespace', 'Pod', 'PeerAuthentication'] as const;
  const lists = await Promise.all(kinds.map((kind) => mesh.objects(kind)));
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: lists.flat() });
  const compiler = await compile(readManifests([{ text, file: mesh.title }]).resources);
  return (workload) => compiler.peerAuthenticationOf(workload);
}

function explainNamed(index: MeshIndex, mesh: MeshView, query: WhyQuery, options: WhyOptions): WhyResult {
  return namingRoutes(mesh, () => explain(index, query, options));
}

/** A service that is not there may be what a route still names. */
function namingRoutes<Answer>(mesh: MeshView, answer: () => Answer): Answer {
  try {
    return answer();
  } catch (error) {
    if (!isMeshError(error) || error.code !== 'NOT_FOUND') throw error;
    const names = routesNaming(mesh, String(error.details.what));
    if (names.length === 0) throw error;
    const { what = '', hint = '' } = error.details;
    throw new MeshError('NOT_FOUND', { what, hint: `${names.join(', ')} still names it; ${hint}` }, { cause: error });
  }
}

/** Rules of routes that lead to `service NAME.NAMESPACE`, which is not there. */
function routesNaming(mesh: MeshView, what: string): string[] {
  const [name = '', namespace = ''] = what.replace(/^service /, '').split('.');
  const rules = (mesh.routes ?? []).flatMap(({ ports }) => ports.flatMap((port) => port.rules));
  const found = rules.filter(({ action }) => {
    if (action.kind !== 'forward') return false;
    return action.backends.some(
      ({ invalid, service }) => invalid !== null && `${service}.`.startsWith(`${namespace}/${name}.`),
    );
  });
  return [
    ...new Set(found.map(({ origin }) => `${origin.kind} ${origin.namespace}/${origin.name} rule ${origin.rule}`)),
  ];
}

/** Says where the policy that decided was written, as far as its object is at hand. */
function withPlace(answer: WhyResult, resources: readonly Resource[]): WhyResult {
  const { decidedBy } = answer;
  const found = resources.find(
    (one) => one.kind === decidedBy?.kind && one.namespace === decidedBy.namespace && one.name === decidedBy.name,
  );
  if (decidedBy === null || found === undefined) return answer;
  const path = decidedBy.rule === null ? ['spec'] : ['spec', 'rules', decidedBy.rule];
  const place = found.places.at(path);
  return place === null ? answer : { ...answer, decidedAt: formatPlace(place) };
}

async function compile(resources: readonly Resource[]): Promise<MeshCompiler> {
  const { MeshCompiler } = await import('../model/compiler.ts');
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system', 'istio-system'],
    expandTemplates: true,
  });
  for (const resource of resources) compiler.upsert(resource);
  compiler.flush();
  return compiler;
}

function indexOf(view: MeshView): MeshIndex {
  const index = new MeshIndex();
  index.apply({ ...view, removedAddresses: [], removedPolicies: [], complete: true });
  return index;
}

function routesOf(view: MeshView): NonNullable<WhyOptions['routesOf']> {
  const byService = new Map((view.routes ?? []).map((routes) => [routes.service, routes]));
  return (service) => byService.get(service) ?? null;
}

/** The request that is asked about; null when nothing is said about one. */
function requestOption(context: CommandContext): WhyRequest | null {
  const method = textOption(context, 'method');
  const path = textOption(context, 'path');
  const claims = textOption(context, 'claims');
  const headers = listOption(context, 'header').map(headerOf);
  if (method === undefined && path === undefined && claims === undefined && headers.length === 0) return null;
  const target = normalizeTarget(path ?? '/', 'base');
  if (target?.startsWith('/') !== true) throw new MeshError('USAGE', { reason: `--path '${path}' is no path` });
  return { method: method ?? 'GET', path: target, headers, claims: claims === undefined ? null : claimsOf(claims) };
}

function headerOf(text: string): [name: string, value: string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new MeshError('USAGE', { reason: `--header '${text}' is not like NAME: VALUE` });
  return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
}

function claimsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new MeshError('USAGE', { reason: `--claims is no JSON: ${messageOf(error)}` }, { cause: error });
  }
  throw new MeshError('USAGE', { reason: '--claims is no JSON object' });
}

function portOption(context: CommandContext): number | null {
  const text = textOption(context, 'port');
  if (text === undefined) return null;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new MeshError('USAGE', { reason: `--port '${text}' is no port number` });
  }
  return port;
}
