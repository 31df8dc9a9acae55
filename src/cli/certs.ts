// `ambientctl certs`: every certificate of the mesh, how long it is good, and whether it was renewed in time. The roots
// and the issuer with the stage of a rotation, the controller's own, and those of every node proxy and waypoint.
import {
  authorityRows,
  badCertStates,
  type CertRow,
  type CertState,
  isBadCert,
  leafRows,
  noCertificate,
} from '../analyze/certificate-rows.ts';
import type { CertificatesView, ProxyDump } from '../model/views.ts';
import { type Command, type CommandContext, type CommandResult, textOption } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Mesh } from './mesh.ts';
import { type TableView, table } from './table.ts';
import { adminView, meshOf } from './which-mesh.ts';

/**
 * Asks the controller and every proxy, or one of them. Exit 1 when something has expired or was not renewed in time.
 */
export const certs: Command = async (context) => {
  const mesh = await meshOf(context);
  const only = onlyOf(context);
  const nowMs = Date.now();
  return certsResult(only === null ? await collectCerts(mesh, nowMs) : await proxyRows(mesh, only, nowMs));
};

/** Rows of the controller and of every proxy. Rejects with NOT_REACHABLE when the controller does not answer. */
export async function collectCerts(mesh: Mesh, nowMs: number): Promise<CertRow[]> {
  const view = (await adminView(mesh, 'controller', '/certificates', 'roots')) as CertificatesView;
  const rows = authorityRows(view, nowMs);
  for (const holder of await holdersOf(mesh)) rows.push(...(await proxyRows(mesh, holder, nowMs)));
  return rows;
}

/** The result for rows that are at hand. */
export function certsResult(rows: readonly CertRow[]): CommandResult {
  const wrong = rows.filter(isBadCert);
  return {
    data: { certificates: rows },
    text: (shown) => certsTable(rows, shown),
    talk: () => adviceOf(rows).join(''),
    exitCode: wrong.length === 0 ? exitCodes.fine : exitCodes.failureFound,
  };
}

type Holder = { readonly node: string } | { readonly waypoint: string };

function onlyOf(context: CommandContext): Holder | null {
  const node = textOption(context, 'node');
  const waypoint = textOption(context, 'waypoint');
  return node !== undefined ? { node } : waypoint !== undefined ? { waypoint } : null;
}

/** Nodes that have a proxy, connected or not, and waypoints that are connected. */
async function holdersOf(mesh: Mesh): Promise<Holder[]> {
  const view = (await adminView(mesh, 'controller', '/proxies', 'proxies')) as {
    readonly proxies: readonly { readonly kind: 'node' | 'waypoint'; readonly name: string }[];
  };
  const names = (kind: 'node' | 'waypoint'): string[] =>
    view.proxies.flatMap((one) => (one.kind === kind ? [one.name] : []));
  const nodes = [...new Set([...(await mesh.nodes()), ...names('node')])].sort();
  const waypoints = [...new Set(names('waypoint'))].sort();
  return [...nodes.map((node) => ({ node })), ...waypoints.map((waypoint) => ({ waypoint }))];
}

async function proxyRows(mesh: Mesh, holder: Holder, nowMs: number): Promise<CertRow[]> {
  const name = 'node' in holder ? `node/${holder.node}` : `waypoint/${holder.waypoint}`;
  try {
    const dump = (await adminView(mesh, holder, '/config_dump', 'certificates')) as ProxyDump;
    return leafRows(name, dump.certificates, nowMs);
  } catch (error) {
    return [noCertificate(name, 'no answer', error instanceof Error ? error.message : String(error))];
  }
}

function certsTable(rows: readonly CertRow[], shown: TableView): string {
  const tone = (one: CertRow) => (badCertStates.includes(one.state) ? 'bad' : one.state === 'ok' ? 'good' : 'warn');
  return table(
    [
      { header: 'HOLDER', value: (one) => one.holder },
      { header: 'TYPE', value: (one) => one.type },
      { header: 'IDENTITY', value: (one) => one.identity },
      { header: 'STATE', value: (one) => one.state, tone },
      { header: 'LEFT', value: (one) => leftText(one), right: true },
      { header: 'NOT_AFTER', value: (one) => one.notAfter },
      { header: 'SERIAL', value: (one) => one.serial, wide: true },
      { header: 'NOTE', value: (one) => one.note },
    ],
    rows,
    shown,
    'no certificate is held',
  );
}

function leftText({ daysLeft }: CertRow): string | null {
  if (daysLeft === null) return null;
  if (daysLeft >= 2) return `${Math.floor(daysLeft)}d`;
  return daysLeft <= 0 ? '0' : `${Math.max(1, Math.floor(daysLeft * 24))}h`;
}

/** What to do next, for each kind of trouble once. */
function adviceOf(rows: readonly CertRow[]): string[] {
  const is = (state: CertState, ...types: CertRow['type'][]): boolean =>
    rows.some((one) => one.state === state && (types.length === 0 || types.includes(one.type)));
  const lines: string[] = [];
  if (is('expired', 'root', 'issuer') || is('ends soon')) {
    lines.push(
      'next: put a new root into ca.crt, and a day later its issuer into tls.crt and tls.key (docs/controller.md)\n',
    );
  }
  if (is('late') || is('expired', 'server', 'leaf') || is('missing')) {
    lines.push('next: see why nothing is signed: ambientctl status, and the log of the controller and of the holder\n');
  }
  if (is('no answer')) lines.push('next: see which proxies are connected: ambientctl status\n');
  return lines;
}
