// One node or edge of the graph in full: segments, routes, policies, endpoints, recent flows, and what to type to see
// the same.
import { authorsNameOf } from '../../model/converted-policies.ts';
import { flowLine, segmentNames } from '../../model/flow-line.ts';
import {
  type CommandView,
  type DetailsView,
  type EndpointRow,
  type FlowRow,
  type PolicyRow,
  type RouteShare,
  segmentOrder,
} from '../../model/page-views.ts';
import type { Policy } from '../../model/types.ts';
import { verdictOf } from '../../telemetry/flow-verdict.ts';
import { edgeNotes, refusalsOf, slowestOf, worstFirst } from './edge-words.ts';
import { FlowCell } from './flow-cell.ts';
import {
  answeredOf,
  clockText,
  ejectedOf,
  type GraphSources,
  nodeNotes,
  type SummedEdge,
  summedEdges,
  trafficOf,
} from './graph-view.ts';
import { type MeshNode, outsideId } from './mesh-map.ts';
import { routeName, splitsOf } from './splits.ts';

const flowsMax = 50;
const endpointsMax = 200;
const routesMax = 50;

/** Null for what is not, or no longer, in the graph. */
export function nodeDetails(id: string, sources: GraphSources): DetailsView | null {
  const node = sources.map.nodes.get(id);
  const edges = summedEdges(sources);
  const incoming = edges.filter(({ to }) => to === id);
  if (node === undefined && !edges.some(({ from, to }) => from === id || to === id)) return null;
  const ejected = node === undefined ? [] : ejectedOf(node, sources.ejected);
  return {
    ...common(sources, 'node', id, id, incoming, node),
    notes: [
      ...(node === undefined ? [] : nodeNotes(node, ejected, sources)),
      ...edgeNotes(summed(incoming), sources, id),
    ].sort(worstFirst),
    flows: flowRows(sources, (from, to) => from === id || to === id),
    commands: nodeCommands(id, node),
  };
}

/** `id` is `FROM>TO`. Null for what is not, or no longer, in the graph. */
export function edgeDetails(id: string, sources: GraphSources): DetailsView | null {
  const [from = '', to = ''] = id.split('>');
  const edge = summedEdges(sources).find((one) => one.from === from && one.to === to);
  if (edge === undefined) return null;
  const node = sources.map.nodes.get(to);
  return {
    ...common(sources, 'edge', id, `${from} → ${to}`, [edge], node),
    notes: edgeNotes(edge.sum, sources, to),
    flows: flowRows(sources, (a, b) => a === from && b === to),
    commands: edgeCommands(from, to, sources.map.nodes.get(from), node),
  };
}

function common(
  sources: GraphSources,
  of: DetailsView['of'],
  id: string,
  title: string,
  edges: readonly SummedEdge[],
  node: MeshNode | undefined,
): Omit<DetailsView, 'notes' | 'flows' | 'commands'> {
  const { window, nowMs } = sources;
  const windowMs = window.coveredMs(nowMs);
  const sum = summed(edges);
  return {
    time: new Date(nowMs).toISOString(),
    ...{ windowMs, of, id, title },
    traffic: trafficOf(edges, windowMs),
    segments: segmentsOf(sum),
    slowest: slowestOf(sum, node?.id ?? id),
    routes: routesOf(sum, edges, node, sources, windowMs),
    policies: node === undefined ? [] : policiesOf(node, sum, sources),
    endpoints: node === undefined ? [] : endpointsOf(node, sources),
    refusals: refusalsOf(sum.troubles(), sources),
  };
}

function summed(edges: readonly SummedEdge[]): FlowCell {
  const sum = new FlowCell();
  for (const edge of edges) sum.merge(edge.sum);
  return sum;
}

function segmentsOf(sum: FlowCell): DetailsView['segments'] {
  if (sum.requests === 0) return [];
  return segmentOrder.map((segment, at) => ({
    segment,
    name: segmentNames[segment],
    p50Ms: sum.segments[at]!.quantile(0.5),
    p99Ms: sum.segments[at]!.quantile(0.99),
  }));
}

/** Routes that were used, the busiest first, and those of the node that nothing came by. */
function routesOf(
  sum: FlowCell,
  edges: readonly SummedEdge[],
  node: MeshNode | undefined,
  { map }: GraphSources,
  windowMs: number,
): RouteShare[] {
  const splits = node === undefined ? [] : splitsOf(node, answeredOf(edges), map);
  const rules = (node?.routes ?? []).flatMap(({ ports }) => ports.flatMap((port) => port.rules));
  const names = new Set([...sum.routes.keys(), ...rules.map(({ origin }) => routeName(origin))]);
  const rows = [...names].map((name): RouteShare => {
    const cell = sum.routes.get(name);
    const rule = rules.find(({ origin }) => routeName(origin) === name);
    const action = rule?.action;
    const problems =
      action?.kind === 'invalid'
        ? [action.reason]
        : action?.kind === 'forward'
          ? action.backends.flatMap(({ invalid }) => (invalid === null ? [] : [invalid.reason]))
          : [];
    return {
      route: name === '' ? 'no route' : name,
      requestsPerS: cell === undefined ? 0 : Number(((cell.requests * 1000) / windowMs).toPrecision(3)),
      success: cell === undefined || cell.requests === 0 ? null : cell.good / cell.requests,
      p99Ms: cell?.times.quantile(0.99) ?? null,
      backends: splits.find(({ route }) => route === name)?.backends ?? [],
      problems: [...new Set(problems)],
    };
  });
  return rows.sort((a, b) => b.requestsPerS - a.requestsPerS || (a.route < b.route ? -1 : 1)).slice(0, routesMax);
}

/** What judges traffic to the pods of a node, at its node proxies and at its waypoint. */
function policiesOf(node: MeshNode, sum: FlowCell, { map, strictFor }: GraphSources): PolicyRow[] {
  const refused = new Map<string, number>();
  for (const { count, last } of sum.troubles()) {
    if (last.decidedBy !== null) refused.set(last.decidedBy, (refused.get(last.decidedBy) ?? 0) + count);
  }
  const selected = new Set(node.pods.flatMap(({ policies }) => policies));
  const found: { readonly policy: Policy; readonly layer: PolicyRow['layer']; readonly scope: string }[] = [];
  for (const policy of map.mesh.policies) {
    if (policy.scope === 'global') found.push({ policy, layer: 'L4', scope: 'the whole mesh' });
    else if (policy.scope === 'namespace' && policy.namespace === node.namespace) {
      found.push({ policy, layer: 'L4', scope: `namespace ${node.namespace}` });
    } else if (policy.scope === 'workload' && selected.has(`${policy.namespace}/${policy.name}`)) {
      found.push({ policy, layer: 'L4', scope: 'pods that it selects' });
    }
  }
  for (const { policies = [] } of node.routes) {
    for (const policy of policies) found.push({ policy, layer: 'L7', scope: 'requests at its waypoint' });
  }
  return found.map(({ policy, layer, scope }) => {
    const key = `${policy.namespace}/${policy.name}`;
    const [pod] = node.pods;
    const strict = pod === undefined ? null : strictFor(`${pod.namespace}/${pod.name}`);
    const named = authorsNameOf(key);
    const [kind, name] = named === key ? ['AuthorizationPolicy', key] : ['PeerAuthentication', strict ?? named];
    const { action, dryRun } = policy;
    return { kind, name, action, dryRun, layer, scope, refused: Math.round(refused.get(key) ?? 0) };
  });
}

function endpointsOf(node: MeshNode, sources: GraphSources): EndpointRow[] {
  const ejected = new Map(ejectedOf(node, sources.ejected).map((one) => [`${one.namespace}/${one.workload}`, one]));
  return node.pods.slice(0, endpointsMax).map((pod) => {
    const name = `${pod.namespace}/${pod.name}`;
    const why = ejected.get(name);
    const reason = why === undefined ? null : `since ${clockText(why.since)}: ${why.reason}`;
    return {
      workload: name,
      address: pod.addresses[0] ?? '',
      node: pod.node,
      enrolled: pod.tunnelProtocol === 'HBONE',
      state: why !== undefined ? 'ejected' : pod.healthy ? 'ready' : 'not ready',
      reason,
    };
  });
}

function flowRows({ window }: GraphSources, isWanted: (from: string, to: string) => boolean): FlowRow[] {
  return window.flows(isWanted, flowsMax).map((flow) => ({
    time: flow.time,
    verdict: verdictOf(flow),
    line: flowLine(flow, (text) => text),
    json: JSON.stringify(flow, null, 2),
  }));
}

function nodeCommands(id: string, node: MeshNode | undefined): CommandView[] {
  if (node === undefined) return [{ what: 'What leaves the mesh', command: 'ambientctl tap --follow' }];
  const { namespace } = node;
  return [
    { what: 'Flows to it, as they come', command: `ambientctl tap --follow ${toTerms(id, node)}` },
    { what: 'Golden signals of its namespace', command: `ambientctl stat services -n ${namespace}` },
    { what: 'Who talks to whom there', command: `ambientctl edges -n ${namespace}` },
    ...(node.kind === 'service'
      ? [{ what: 'Its objects, judged', command: `ambientctl analyze` }]
      : [{ what: 'How its proxy sees it', command: `ambientctl config workloads --node ${node.pods[0]?.node ?? ''}` }]),
  ];
}

function edgeCommands(
  from: string,
  to: string,
  source: MeshNode | undefined,
  destination: MeshNode | undefined,
): CommandView[] {
  const terms = [
    from === outsideId ? '' : `--from-pod ${podTerm(source, from)}`,
    to === outsideId ? '' : toTerms(to, destination),
  ];
  const tap = ['ambientctl tap --follow', ...terms].filter(Boolean).join(' ');
  const pod = source?.pods[0];
  const whyFrom = pod === undefined ? null : `${pod.namespace}/${pod.name}`;
  const whyTo =
    destination?.kind === 'service' ? `svc/${destination.name}.${destination.namespace}` : firstPod(destination);
  return [
    { what: 'Its flows, as they come', command: tap },
    ...(whyFrom === null || whyTo === null
      ? []
      : [{ what: 'Whether it is allowed, and by what', command: `ambientctl why ${whyFrom} ${whyTo}` }]),
    ...(destination === undefined
      ? []
      : [{ what: 'Who talks to whom there', command: `ambientctl edges -n ${destination.namespace}` }]),
  ];
}

function toTerms(id: string, node: MeshNode | undefined): string {
  // Node proxies of destinations know pods alone; waypoints and sources know which service was called.
  if (node?.kind !== 'service' || waypointless(node)) return `--to-pod ${podTerm(node, id)}`;
  return `--to-service ${node.name}.${node.namespace}`;
}

function waypointless({ services: [service] }: MeshNode): boolean {
  return service?.waypoint == null;
}

function podTerm(node: MeshNode | undefined, id: string): string {
  return `${node?.namespace ?? id.split('/')[0]}/${node?.pods[0]?.workloadName ?? id.split('/')[1]}`;
}

function firstPod(node: MeshNode | undefined): string | null {
  const pod = node?.pods[0];
  return pod === undefined ? null : `${pod.namespace}/${pod.name}`;
}
