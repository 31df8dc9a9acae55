// How bad something is, in the three states that the page has, and in a few words.
import type { GraphEdge, GraphNode, PageNote, ProxyRow, TrafficView } from '../model/page-views.ts';
import { countText, durationText, percentText, rateText } from './format.ts';

export type State = 'ok' | 'warning' | 'error';

/** The worst of some notes; what is merely to be known is no trouble. */
export function stateOfNotes(notes: readonly PageNote[]): State {
  if (notes.some(({ severity }) => severity === 'error')) return 'error';
  return notes.some(({ severity }) => severity === 'warning') ? 'warning' : 'ok';
}

/** An edge on which something is refused is red, whatever else is said of it. */
export function stateOfEdge(edge: GraphEdge): State {
  return edge.refusedPerS > 0 || edge.refusals.length > 0 ? 'error' : stateOfNotes(edge.notes);
}

/** A node is as bad as what is said of it, or as that it has endpoints and none is ready. */
export function stateOfNode(node: GraphNode): State {
  const state = stateOfNotes(node.notes);
  if (state !== 'ok') return state;
  if (node.endpoints.total > 0 && node.endpoints.ready === 0) return 'error';
  return node.ejected.length > 0 ? 'warning' : 'ok';
}

/** A proxy that is there and in step is well, unless something is said of it. */
export function stateOfProxy(proxy: ProxyRow): State {
  if (proxy.state === 'not connected' || proxy.state === 'refused') return 'error';
  const state = stateOfNotes(proxy.notes);
  return state === 'ok' && proxy.state !== 'in step' ? 'warning' : state;
}

const words: Readonly<Partial<Record<PageNote['id'], string>>> = {
  refused: 'refused by policy',
  'plaintext-refused': 'plaintext refused',
  plaintext: 'in the clear',
  failed: 'failing',
  'route-broken': 'route leads nowhere',
  slow: 'slow',
  overload: 'overloaded',
  'retries-held': 'retries held back',
  retries: 'retried',
  ejected: 'endpoint ejected',
  unready: 'endpoint not ready',
  'no-endpoint': 'no endpoint',
  'proxy-down': 'proxy down',
  'proxy-behind': 'proxy behind',
  'proxy-busy': 'proxy busy',
  'proxy-refused': 'configuration refused',
  certificate: 'certificate trouble',
};

/** What is wrong with an edge, in a few words for its label; '' where nothing is. */
export function edgeTrouble(edge: GraphEdge): string {
  const by = edge.refusals[0]?.by ?? null;
  if (edge.refusals.length > 0 || edge.refusedPerS > 0) {
    return by === null ? 'refused' : `refused by ${shortPolicy(by)}`;
  }
  return troubleWords(edge.notes);
}

/** `deny-web` of `AuthorizationPolicy shop/deny-web`, `STRICT default` of `PeerAuthentication shop/default`. */
function shortPolicy(by: string): string {
  const name = by.slice(by.lastIndexOf('/') + 1);
  return by.startsWith('PeerAuthentication') ? `STRICT ${name}` : name;
}

/** The worst of notes that are trouble, in a few words; '' without any. */
export function troubleWords(notes: readonly PageNote[]): string {
  const worst =
    notes.find(({ severity }) => severity === 'error') ?? notes.find(({ severity }) => severity === 'warning');
  if (worst === undefined) return '';
  return words[worst.id] ?? worst.text;
}

/** How much there is: requests, else connections, else what is open. */
export function trafficText(traffic: TrafficView): string {
  if (traffic.requestsPerS > 0) return rateText(traffic.requestsPerS);
  if (traffic.connectionsPerS > 0) return `${countText(traffic.connectionsPerS)} conn/s`;
  if (traffic.openConnections > 0) return `${traffic.openConnections} open`;
  if (traffic.refusedPerS > 0) return rateText(traffic.refusedPerS);
  return 'idle';
}

/** Everything that flows, for how lively an edge is drawn: per second. */
export function livelinessOf(traffic: TrafficView): number {
  return Math.max(traffic.requestsPerS, traffic.connectionsPerS, traffic.openConnections > 0 ? 0.1 : 0);
}

/** An edge in one sentence, for who listens. */
export function edgeSentence(edge: GraphEdge): string {
  const how = { mtls: 'mutual TLS', 'same-node': 'within a node', plaintext: 'plaintext', mixed: 'partly plaintext' };
  const numbers = [
    trafficText(edge),
    edge.success === null ? '' : `${percentText(edge.success)} success`,
    edge.p99Ms === null ? '' : `p99 ${durationText(edge.p99Ms)}`,
    how[edge.transport],
    ...new Set([...edge.refusals.map(({ text }) => text), ...edge.notes.map(({ text }) => text)]),
  ];
  return `${edge.from} to ${edge.to}: ${numbers.filter((word) => word !== '').join(', ')}`;
}

/** A node in one sentence, for who listens. */
export function nodeSentence(node: GraphNode): string {
  const { ready, total } = node.endpoints;
  const numbers = [
    trafficText(node.incoming),
    node.incoming.success === null ? '' : `${percentText(node.incoming.success)} success`,
    node.incoming.p99Ms === null ? '' : `p99 ${durationText(node.incoming.p99Ms)}`,
    total > 0 ? `${ready} of ${total} endpoints ready` : '',
    node.enrolled === 'none' ? 'outside the mesh' : '',
    ...node.notes.map(({ text }) => text),
  ];
  return `${node.id}: ${numbers.filter((word) => word !== '').join(', ')}`;
}
