// What the demo expects to see: each Deployment of the samples says in an annotation whom it calls and how that
// should be carried.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type EdgeSummary, shortServiceName } from '../analyze/edge-summary.ts';
import { MeshError } from '../base/errors.ts';
import { carriedText } from './edges.ts';
import { bytesText } from './table.ts';

/** `catalog=mtls, payments=refused`: a service (`NAME` or `NAME.NAMESPACE`) and how it is reached. */
export const edgesAnnotation = 'demo.ambient.mesh/edges';
const manners = ['mtls', 'same-node', 'plaintext', 'refused'] as const;
export type Manner = (typeof manners)[number];

export interface ExpectedEdge {
  readonly from: { readonly namespace: string; readonly workload: string };
  readonly to: { readonly namespace: string; readonly workload: string };
  readonly manner: Manner;
}

/**
 * The expected edges of every Deployment under `folder`. Throws CONFIG_INVALID, with the file, for an annotation that
 * cannot be read.
 */
export function readExpectedEdges(folder: string): ExpectedEdge[] {
  const files = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
  return files.toSorted().flatMap((name) => {
    const file = path.join(folder, name);
    return parseAllDocuments(readFileSync(file, 'utf8')).flatMap((document) => expectedOf(document.toJS(), file));
  });
}

interface Manifest {
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly annotations?: Record<string, string>;
  };
}

function expectedOf(manifest: Manifest | null, file: string): ExpectedEdge[] {
  const text = manifest?.metadata?.annotations?.[edgesAnnotation];
  if (manifest?.kind !== 'Deployment' || text === undefined) return [];
  const namespace = manifest.metadata?.namespace ?? 'default';
  const from = { namespace, workload: manifest.metadata?.name ?? '' };
  return text.split(',').map((part) => {
    const [target = '', manner = ''] = part.trim().split('=');
    const [workload = '', own = namespace] = target.split('.');
    if (workload === '' || !manners.includes(manner as Manner)) {
      const reason = `'${part.trim()}' is not SERVICE=${manners.join('|')}`;
      throw new MeshError('CONFIG_INVALID', { place: `${file}: ${edgesAnnotation}`, reason });
    }
    return { from, to: { namespace: own, workload }, manner: manner as Manner };
  });
}

export interface Judgement {
  readonly expected: ExpectedEdge;
  readonly met: boolean;
  /** What was seen, in words. */
  readonly seen: string;
}

/** Holds each expectation against the edges that the proxies report. */
export function judgeEdges(expected: readonly ExpectedEdge[], edges: readonly EdgeSummary[]): Judgement[] {
  return expected.map((one) => {
    const rows = edges.filter((edge) => isBetween(edge, one));
    return { expected: one, met: isMet(one.manner, rows), seen: seenText(rows) };
  });
}

/** `shop/web to shop/catalog should be mtls; seen: nothing`. */
export function judgementText({ expected: { from, to, manner }, seen }: Judgement): string {
  return `${from.namespace}/${from.workload} to ${to.namespace}/${to.workload} should be ${manner}; seen: ${seen}`;
}

function isMet(manner: Manner, rows: readonly EdgeSummary[]): boolean {
  const carried = rows.filter((row) => row.opened > 0 && row.bytesReceived > 0);
  if (manner === 'refused') return carried.length === 0 && rows.some((row) => row.refused > 0);
  // Traffic in another manner beside the right one is a failure too: one plaintext connection is one too many.
  if (carried.length === 0 || carried.some((row) => row.transport !== manner)) return false;
  return manner === 'plaintext' || carried.every((row) => row.from.identity !== '' && row.to.identity !== '');
}

function isBetween(edge: EdgeSummary, { from, to }: ExpectedEdge): boolean {
  const target = edge.to.workload || shortServiceName(edge.to.service);
  const isFrom = edge.from.namespace === from.namespace && edge.from.workload === from.workload;
  return isFrom && edge.to.namespace === to.namespace && target === to.workload;
}

function seenText(rows: readonly EdgeSummary[]): string {
  const parts = rows.map((row) => {
    const figures = [`${row.opened} connections`, `${bytesText(row.bytesReceived)} back`];
    if (row.refused > 0) figures.push(`${row.refused} refused by ${row.refusedBy ?? 'a policy without a name'}`);
    if (row.failed > 0) figures.push(`${row.failed} failed (${row.flags.join(', ')})`);
    return `${carriedText(row)}, ${figures.join(', ')}`;
  });
  return parts.join('; ') || 'nothing';
}
