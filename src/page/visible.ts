// What of the graph is to be seen: all of it, or what a search, a namespace or trouble picks, with its neighbours.
import type { GraphEdge, GraphNode, GraphView } from '../model/page-views.ts';
import type { PageState } from './hash-state.ts';
import { stateOfEdge, stateOfNode } from './trouble.ts';

export interface Visible {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Nodes that are there as the neighbours of what was asked for. */
  readonly faded: ReadonlySet<string>;
  /** The same for the same question: what is laid out for one filter keeps its places for as long as it holds. */
  readonly filter: string;
}

type Filter = Pick<PageState, 'search' | 'namespace' | 'troubleOnly'>;

/** The nodes that fit, the edges that touch them, and the nodes at the other ends of these. */
export function visibleOf(graph: GraphView, { search, namespace, troubleOnly }: Filter): Visible {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && namespace === '' && !troubleOnly) {
    return { nodes: graph.nodes, edges: graph.edges, faded: new Set(), filter: '' };
  }
  const fits = (node: GraphNode): boolean =>
    (namespace === '' || node.namespace === namespace) &&
    words.every((word) => `${node.namespace}/${node.name}`.toLowerCase().includes(word));
  const asked = new Set(graph.nodes.filter(fits).map(({ id }) => id));
  let edges = graph.edges.filter(({ from, to }) => asked.has(from) || asked.has(to));
  if (troubleOnly) {
    edges = edges.filter((edge) => stateOfEdge(edge) !== 'ok');
    const ends = new Set(edges.flatMap(({ from, to }) => [from, to]));
    for (const node of graph.nodes) {
      if (stateOfNode(node) === 'ok' && !ends.has(node.id)) asked.delete(node.id);
    }
  }
  const shown = new Set([...asked, ...edges.flatMap(({ from, to }) => [from, to])]);
  return {
    nodes: graph.nodes.filter(({ id }) => shown.has(id)),
    edges,
    faded: new Set([...shown].filter((id) => !asked.has(id))),
    filter: JSON.stringify([words, namespace, troubleOnly]),
  };
}

export interface Totals {
  readonly services: number;
  readonly requestsPerS: number;
  readonly connectionsPerS: number;
  readonly refusedPerS: number;
  readonly success: number | null;
  readonly secured: number | null;
}

/** The sums over some edges; success and security are weighted by how much flows. */
export function totalsOf({ nodes, edges }: Pick<Visible, 'nodes' | 'edges'>): Totals {
  let [requestsPerS, connectionsPerS, refusedPerS] = [0, 0, 0];
  const success = new Mean();
  const secured = new Mean();
  for (const edge of edges) {
    requestsPerS += edge.requestsPerS;
    connectionsPerS += edge.connectionsPerS;
    refusedPerS += edge.refusedPerS;
    const weight = edge.requestsPerS + edge.connectionsPerS;
    success.add(edge.success, weight);
    secured.add(edge.secured, weight);
  }
  const services = nodes.filter(({ kind }) => kind !== 'outside').length;
  return { services, requestsPerS, connectionsPerS, refusedPerS, success: success.value, secured: secured.value };
}

class Mean {
  #sum = 0;
  #weight = 0;

  get value(): number | null {
    return this.#weight === 0 ? null : this.#sum / this.#weight;
  }

  add(value: number | null, weight: number): void {
    if (value === null || weight <= 0) return;
    this.#sum += value * weight;
    this.#weight += weight;
  }
}
