// `ambientctl edges`: who talks to whom, over what, with which identities, how much, and what was refused by which
// policy.
import { setTimeout as sleep } from 'node:timers/promises';
import { type EdgeSummary, partyKey, summarizeEdges } from '../analyze/edge-summary.ts';
import { authorsNameOf } from '../model/converted-policies.ts';
import type { NodeDump } from '../model/views.ts';
import { type Command, type CommandContext, type CommandResult, flagOption, textOption } from './command.ts';
import type { Tone } from './io.ts';
import type { Mesh } from './mesh.ts';
import { watch } from './redraw.ts';
import { selectedWorkloads } from './selection.ts';
import { bytesText, type Column, type TableView, table } from './table.ts';
import { adminView, meshOf } from './which-mesh.ts';

/** An edge with its speed since the sample before; `bytesPerS` null where there was none. */
export interface EdgeRow extends EdgeSummary {
  readonly bytesPerS: number | null;
}

const watchEveryMs = 1000;
const rateWindowMs = 1000;

/** Prints the edges of a mesh once (with the speed over one second), or again and again with `--watch`. */
export const edges: Command = async (context) => {
  const mesh = await meshOf(context);
  const isWanted = await wantedIn(context, mesh);
  const meter = new EdgeMeter();
  const next = async () => (await meter.sample(mesh)).filter(isWanted);
  if (flagOption(context, 'watch')) {
    await watch(context, watchEveryMs, async () => edgesResult(await next()));
    return 0;
  }
  await meter.sample(mesh);
  await sleep(rateWindowMs, undefined, { signal: context.io.interruption() });
  return edgesResult(await next(), meter.silent);
};

/** The result for rows that are at hand; `silent` are nodes whose proxies did not answer. */
export function edgesResult(rows: readonly EdgeRow[], silent: readonly string[] = []): CommandResult {
  return {
    data: { edges: rows },
    text: (view) => edgeTable(rows, view),
    talk: (paint) =>
      silent
        .map((node) => `${paint('warning', 'warn')} the proxy of ${node} does not answer: what it saw is missing\n`)
        .join(''),
  };
}

/** Samples the edges of a mesh and turns two samples into a speed. */
export class EdgeMeter {
  #atMs = 0;
  #bytes = new Map<string, number>();
  #silent: readonly string[] = [];

  /** Nodes whose proxies did not answer the last time. */
  get silent(): readonly string[] {
    return this.#silent;
  }

  /** The edges of every node proxy that answers, with their speed since the last call. */
  async sample(mesh: Mesh): Promise<EdgeRow[]> {
    const nodes = await mesh.nodes();
    const dumps = await Promise.all(nodes.map((node) => dumpOf(mesh, node)));
    this.#silent = nodes.filter((_, at) => dumps[at] === null);
    return this.rows(summarizeEdges(dumps.filter((dump) => dump !== null)), performance.now());
  }

  /** Adds speeds to edges that were read at `nowMs`. */
  rows(summaries: readonly EdgeSummary[], nowMs: number): EdgeRow[] {
    const seconds = (nowMs - this.#atMs) / 1000;
    const before = this.#bytes;
    this.#atMs = nowMs;
    this.#bytes = new Map(summaries.map((edge) => [keyOf(edge), edge.bytesSent + edge.bytesReceived]));
    return summaries.map((edge) => {
      const last = before.get(keyOf(edge));
      const grown = edge.bytesSent + edge.bytesReceived - (last ?? 0);
      return {
        ...edge,
        bytesPerS: last === undefined || seconds <= 0 ? null : Math.max(0, Math.round(grown / seconds)),
      };
    });
  }
}

async function dumpOf(mesh: Mesh, node: string): Promise<Pick<NodeDump, 'edges'> | null> {
  try {
    return (await adminView(mesh, { node }, '/config_dump', 'edges')) as NodeDump;
  } catch {
    return null; // a proxy that restarts has nothing to tell right now; the others have
  }
}

/** FROM, TO, CARRIED, IDENTITIES, CONNS, OPEN, BYTES/S, REFUSED. */
export function edgeTable(rows: readonly EdgeRow[], view: TableView): string {
  const columns: Column<EdgeRow>[] = [
    { header: 'FROM', value: (row) => partyKey(row.from, '') },
    { header: 'TO', value: (row) => partyKey(row.to, row.to.service) },
    { header: 'CARRIED', value: carriedText, tone: carriedTone },
    { header: 'IDENTITIES', value: (row) => identitiesText(row, view.wide) },
    { header: 'CONNS', value: (row) => row.opened },
    { header: 'OPEN', value: (row) => row.active },
    { header: 'BYTES/S', value: (row) => (row.bytesPerS === null ? null : bytesText(row.bytesPerS)), right: true },
    { header: 'FAILED', value: (row) => row.failed || null, right: true },
    {
      header: 'REFUSED',
      value: (row) => row.refused || null,
      right: true,
      tone: (row) => (row.refused > 0 ? 'bad' : null),
    },
    { header: 'BY', value: (row) => (row.refusedBy === null ? null : authorsNameOf(row.refusedBy)) },
    { header: 'FLAGS', wide: true, value: (row) => row.flags.join(',') },
    { header: 'SENT', wide: true, value: (row) => bytesText(row.bytesSent), right: true },
    { header: 'RECEIVED', wide: true, value: (row) => bytesText(row.bytesReceived), right: true },
  ];
  return table(columns, rows, view, 'no traffic yet');
}

/** How an edge is carried, in the words of the table. */
export function carriedText(edge: EdgeSummary): string {
  if (edge.opened === 0 && edge.refused > 0) return 'refused';
  if (edge.opened === 0 && edge.failed > 0) return 'failed';
  return { mtls: 'mTLS', 'same-node': 'same node', plaintext: 'plaintext' }[edge.transport];
}

function carriedTone(edge: EdgeSummary): Tone {
  if (edge.opened === 0) return 'bad';
  return edge.transport === 'plaintext' ? 'warn' : 'good';
}

function identitiesText(edge: EdgeSummary, wide: boolean): string | null {
  const text = (identity: string): string => {
    if (identity === '') return 'none';
    return wide ? identity : identity.replace(/^spiffe:\/\/[^/]+\/ns\//, '').replace('/sa/', '/');
  };
  if (edge.transport === 'plaintext') return null; // nobody proved who they are
  return `${text(edge.from.identity)} > ${text(edge.to.identity)}`;
}

/** What `-n` and `-l` leave: edges of which an end is meant. */
async function wantedIn(context: CommandContext, mesh: Mesh): Promise<(row: EdgeRow) => boolean> {
  const namespace = textOption(context, 'namespace');
  const selected = await selectedWorkloads(context, mesh);
  return ({ from, to }) =>
    [from, to].some((end) => namespace === undefined || end.namespace === namespace) &&
    [from, to].some((end) => selected?.has(`${end.namespace}/${end.workload}`) ?? true);
}

function keyOf(edge: EdgeSummary): string {
  return `${partyKey(edge.from, '')} ${partyKey(edge.to, edge.to.service)} ${edge.transport}`;
}
