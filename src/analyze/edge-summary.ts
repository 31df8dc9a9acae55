// Who talks to whom, out of the dumps of all node proxies. Both ends of a tunnelled connection report it; each edge
// is counted once.
import { policyFlags } from '../base/flags.ts';
import type { EdgeView, NodeDump } from '../model/views.ts';

export interface EdgeSummary {
  readonly from: { readonly namespace: string; readonly workload: string; readonly identity: string };
  readonly to: {
    readonly namespace: string;
    readonly workload: string;
    readonly service: string;
    readonly identity: string;
  };
  readonly transport: EdgeView['transport'];
  /** Connections since the start of the proxies, and those open now. */
  readonly opened: number;
  readonly active: number;
  /** Refused by policy, and by which one (`NAMESPACE/NAME`) last. */
  readonly refused: number;
  readonly refusedBy: string | null;
  /** Ended by something else than policy, and by what: flags of the access log. */
  readonly failed: number;
  readonly flags: readonly string[];
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

interface Side {
  opened: number;
  closed: number;
  refused: number;
  failed: number;
  bytesSent: number;
  bytesReceived: number;
}

interface Entry {
  from: EdgeSummary['from'];
  to: EdgeSummary['to'];
  readonly transport: EdgeView['transport'];
  readonly source: Side;
  readonly destination: Side;
  refusedBy: string | null;
  readonly flags: Set<string>;
}

/** Edges of the whole mesh, sorted by name: one per source workload, destination workload and transport. */
export function summarizeEdges(dumps: readonly Pick<NodeDump, 'edges'>[]): EdgeSummary[] {
  const entries = new Map<string, Entry>();
  for (const reported of dumps.flatMap((dump) => dump.edges)) {
    const edge = withServiceNamespace(reported);
    const key = [partyKey(edge.source, ''), partyKey(edge.destination, edge.destination.service), edge.transport].join(
      ' ',
    );
    const entry = entries.get(key) ?? newEntry(edge);
    entries.set(key, entry);
    addEdge(entry, edge);
  }
  return [...entries.values()].map(summaryOf).toSorted((a, b) => compare(edgeName(a), edgeName(b)));
}

/** Where no endpoint was chosen, only the host name of the service says in which namespace it is. */
function withServiceNamespace(edge: EdgeView): EdgeView {
  const { destination } = edge;
  if (destination.namespace !== '' || destination.service === '') return edge;
  return { ...edge, destination: { ...destination, namespace: destination.service.split('.')[1] ?? '' } };
}

/** `NAMESPACE/WORKLOAD`, by the service's name where no workload was chosen. */
export function partyKey(party: { readonly namespace: string; readonly workload: string }, service: string): string {
  const name = party.workload || shortServiceName(service) || 'unknown';
  return party.namespace === '' ? name : `${party.namespace}/${name}`;
}

/** `catalog` of `catalog.shop.svc.cluster.local` or `shop/catalog.shop.svc.cluster.local`. */
export function shortServiceName(service: string): string {
  return service.slice(service.indexOf('/') + 1).split('.')[0] ?? '';
}

function edgeName(edge: EdgeSummary): string {
  return `${partyKey(edge.from, '')} ${partyKey(edge.to, edge.to.service)} ${edge.transport}`;
}

function newEntry(edge: EdgeView): Entry {
  const none = (): Side => ({ opened: 0, closed: 0, refused: 0, failed: 0, bytesSent: 0, bytesReceived: 0 });
  const { source: from, destination: to, transport } = edge;
  return { from, to, transport, source: none(), destination: none(), refusedBy: null, flags: new Set() };
}

function addEdge(entry: Entry, edge: EdgeView): void {
  // A waypoint stands before the destination and decides for it.
  const side = entry[edge.reporter === 'source' ? 'source' : 'destination'];
  side.opened += edge.opened;
  side.closed += edge.closed;
  side.bytesSent += edge.bytesSent;
  side.bytesReceived += edge.bytesReceived;
  if (policyFlags.has(edge.flag)) side.refused += edge.failed + (edge.flag === 'POLICY_CHANGE' ? edge.closed : 0);
  else side.failed += edge.failed;
  if (!policyFlags.has(edge.flag) && edge.failed > 0) entry.flags.add(edge.flag);
  // The destination knows the policy's name; the source only that it was refused.
  if (edge.decidedBy !== null && (entry.refusedBy === null || edge.reporter === 'destination'))
    entry.refusedBy = edge.decidedBy;
  entry.from = { ...entry.from, identity: entry.from.identity || edge.source.identity };
  entry.to = {
    ...entry.to,
    service: entry.to.service || edge.destination.service,
    identity: entry.to.identity || edge.destination.identity,
  };
}

function summaryOf(entry: Entry): EdgeSummary {
  const { source, destination } = entry;
  const larger = (field: keyof Side): number => Math.max(source[field], destination[field]);
  const refused = larger('refused');
  // What the destination refused by policy is a failed connect to the source: one event, counted as the refusal.
  const failed = Math.max(destination.failed, source.failed - Math.max(0, refused - source.refused), 0);
  return {
    from: { namespace: entry.from.namespace, workload: entry.from.workload, identity: entry.from.identity },
    to: {
      namespace: entry.to.namespace,
      workload: entry.to.workload,
      service: entry.to.service,
      identity: entry.to.identity,
    },
    transport: entry.transport,
    opened: larger('opened'),
    active: Math.max(source.opened - source.closed, destination.opened - destination.closed, 0),
    refused,
    refusedBy: refused > 0 ? entry.refusedBy : null,
    failed,
    flags: failed > 0 ? [...entry.flags].toSorted() : [],
    bytesSent: larger('bytesSent'),
    bytesReceived: larger('bytesReceived'),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
