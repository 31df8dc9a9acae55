// `ambientctl why FROM TO[:PORT]`: what would happen to a connection or a request, and why. The answer is computed by
// `src/policy`, with the very code of the data path, from the mesh of a controller or from manifests.
import { MeshError, messageOf } from '../base/errors.ts';
import { normalizeTarget } from '../http/exchange/path-normalization.ts';
import { routeExplainer } from '../http/routes/explain-route.ts';
import type { MeshCompiler } from '../model/compiler.ts';
import { MeshIndex } from '../model/mesh-index.ts';
import type { Resource } from '../model/resources.ts';
import type { MeshView } from '../model/views.ts';
import {
  why as explain,
  type WhyAnswer,
  type WhyEnd,
  type WhyOptions,
  type WhyQuery,
  type WhyResult,
} from '../policy/why.ts';
import type { WhyRequest } from '../policy/why-waypoint.ts';
import { type Command, type CommandContext, type CommandResult, listOption, textOption } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { TableView } from './table.ts';
import { adminView, meshOf, refuseCluster } from './which-mesh.ts';

/** Exit 0 for allow, 1 for deny and unreachable. */
export const why: Command = async (context) => {
  const [from, to] = context.args;
  if (from === undefined || to === undefined) throw new MeshError('USAGE', { reason: 'say FROM and TO[:PORT]' });
  const namespace = textOption(context, 'namespace') ?? 'default';
  const query = { from, to, port: portOption(context), namespace, request: requestOption(context) };
  const paths = listOption(context, 'file');
  return whyResult(paths.length > 0 ? await explainOffline(context, paths, query) : await explainLive(context, query));
};

/** The result for an answer that is at hand. */
export function whyResult(answer: WhyResult): CommandResult {
  return {
    data: answer,
    text: (view) => whyText(answer, view),
    exitCode: answer.verdict === 'allow' ? exitCodes.fine : exitCodes.failureFound,
  };
}

/** Compiles manifests as the controller would, Deployments without pods standing as one workload each. */
async function explainOffline(context: CommandContext, paths: readonly string[], query: WhyQuery): Promise<WhyResult> {
  refuseCluster(context, 'manifests stand for themselves');
  const { loadManifests } = await import('../kube/load.ts');
  const compiler = await compile((await loadManifests(paths)).resources);
  const mesh = compiler.mesh();
  const index = indexOf(mesh);
  return explain(index, query, {
    sameNode: 'direct',
    explainRoute: routeExplainer(index),
    routesOf: routesOf(mesh),
    strictBy: (workload) => compiler.peerAuthenticationOf(workload),
  });
}

async function explainLive(context: CommandContext, query: WhyQuery): Promise<WhyResult> {
  const running = await meshOf(context);
  const mesh = (await adminView(running, 'controller', '/mesh', 'workloads')) as MeshView;
  const index = indexOf(mesh);
  const known = { sameNode: 'direct', routesOf: routesOf(mesh), explainRoute: routeExplainer(index) } as const;
  const answer = explain(index, query, known);
  if (![answer, ...(answer.perEndpoint ?? [])].some((one) => one.decidedBy?.kind === 'PeerAuthentication'))
    return answer;
  // On the wire all STRICT workloads share one policy. The object that a person wrote is found among the objects.
  const { readManifests } = await import('../kube/manifests.ts');
  const kinds = ['Namespace', 'Pod', 'PeerAuthentication'] as const;
  const lists = await Promise.all(kinds.map((kind) => running.objects(kind)));
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: lists.flat() });
  const compiler = await compile(readManifests([{ text, file: running.title }]).resources);
  return explain(index, query, {
    ...known,
    strictBy: (workload) => compiler.peerAuthenticationOf(workload),
  });
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

/** The answer as a person would give it: the verdict in a sentence, the way it takes, and the reasons. */
export function whyText(answer: WhyResult, view: TableView): string {
  const lines = [verdictLine(answer, view)];
  if (answer.verdict === 'allow' && answer.hops.length > 0) {
    const hops = answer.hops.map((hop) => (hop.kind === 'node' ? `proxy of ${hop.name}` : `${hop.kind} ${hop.name}`));
    // What the mesh answers itself goes no further.
    const end = answer.response === null ? [endName(answer.to)] : [];
    lines.push(`path: ${[endName(answer.from), ...hops, ...end].join(' > ').replace(/,$/, '')}`);
  }
  for (const reason of answer.reasons) lines.push(`  - ${reason}`);
  if (answer.perEndpoint !== undefined && answer.perEndpoint.length > 0) {
    lines.push('the endpoints differ:');
    for (const one of answer.perEndpoint) {
      const by = one.decidedBy === null ? '' : `, by ${policyName(one.decidedBy)}`;
      lines.push(`  - ${one.namespace}/${one.workload} on ${one.node}: ${paintVerdict(one.verdict, view)}${by}`);
      for (const reason of one.reasons) lines.push(`      ${reason}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function verdictLine(answer: WhyResult, view: TableView): string {
  const from = endName(answer.from);
  const to = answer.to.service !== null ? `service ${answer.to.service}` : endName(answer.to);
  const target = `${to} on port ${answer.to.port}`;
  const who = `${from}${answer.from.identity === null ? '' : ` (${answer.from.identity})`}`;
  const word = paintVerdict(answer.verdict, view);
  const own = answer.response === null ? '' : `; the waypoint itself answers ${answer.response.status}`;
  if (answer.verdict === 'allow') return `${word}: ${who} can reach ${target}${own}`;
  if (answer.verdict === 'unreachable' && own !== '') return `${word}: ${who} cannot reach ${target}${own}`;
  if (answer.verdict === 'unreachable') return `${word}: ${who} cannot reach ${target}, whatever policy says`;
  const by = answer.decidedBy === null ? '' : `; it is refused by ${policyName(answer.decidedBy)}`;
  return `${word}: ${who} may not reach ${target}${by}`;
}

function policyName(policy: NonNullable<WhyAnswer['decidedBy']>): string {
  const rule = policy.rule === null || policy.rule === undefined ? '' : `, rule ${policy.rule}`;
  return `${policy.kind} ${policy.namespace}/${policy.name}${rule}`;
}

function endName(end: WhyEnd): string {
  if (end.workload === null) return 'an address outside the mesh';
  const name = end.namespace === null ? end.workload : `${end.namespace}/${end.workload}`;
  return end.enrolled ? name : `${name}, which is outside the mesh,`;
}

function paintVerdict(verdict: WhyAnswer['verdict'], view: TableView): string {
  const words = { allow: 'allowed', deny: 'denied', unreachable: 'unreachable' } as const;
  return view.paint(words[verdict], verdict === 'allow' ? 'good' : 'bad');
}
