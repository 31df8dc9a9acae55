// The tables of `ambientctl config …`: the columns that users of `istioctl ztunnel-config` know, and ours behind `-o
// wide`.
import type { Policy, Revocation, RevokedIdentity, Service, WaypointAddress, Workload } from '../model/types.ts';
import type { CertificateView, ConnectionView, NodeDump, PeerView } from '../model/views.ts';
import { bytesText, type Column, type TableView, table } from './table.ts';

/** NAMESPACE, POD_NAME, ADDRESS, NODE, WAYPOINT, PROTOCOL (HBONE: in the mesh, TCP: outside). */
export function workloadTable(workloads: readonly Workload[], view: TableView): string {
  return table(
    [
      { header: 'NAMESPACE', value: (row) => row.namespace },
      { header: 'POD_NAME', value: (row) => row.name },
      { header: 'ADDRESS', value: (row) => (view.wide ? row.addresses.join(',') : row.addresses[0]) },
      { header: 'NODE', value: (row) => row.node },
      { header: 'WAYPOINT', value: (row) => waypointText(row.waypoint) },
      {
        header: 'PROTOCOL',
        value: (row) => (row.tunnelProtocol === 'HBONE' ? 'HBONE' : 'TCP'),
        tone: (row) => (row.tunnelProtocol === 'HBONE' ? 'good' : null),
      },
      { header: 'HEALTHY', wide: true, value: (row) => (row.healthy ? 'yes' : 'no') },
      { header: 'SERVICE_ACCOUNT', wide: true, value: (row) => row.serviceAccount },
      { header: 'POLICIES', wide: true, value: (row) => row.policies.join(',') },
    ],
    sorted(workloads),
    view,
    'no workload',
  );
}

/** NAMESPACE, SERVICE_NAME, SERVICE_VIP, WAYPOINT, ENDPOINTS (healthy of all). */
export function serviceTable(services: readonly Service[], workloads: readonly Workload[], view: TableView): string {
  return table(
    [
      { header: 'NAMESPACE', value: (row) => row.namespace },
      { header: 'SERVICE_NAME', value: (row) => row.name },
      { header: 'SERVICE_VIP', value: (row) => (view.wide ? row.addresses.join(',') : row.addresses[0]) },
      { header: 'WAYPOINT', value: (row) => waypointText(row.waypoint) },
      { header: 'ENDPOINTS', value: (row) => endpointText(row, workloads), right: true },
      {
        header: 'PORTS',
        wide: true,
        value: (row) => row.ports.map((one) => `${one.servicePort}/${one.appProtocol}`).join(','),
      },
      { header: 'HOSTNAME', wide: true, value: (row) => row.hostname },
    ],
    sorted(services),
    view,
    'no service',
  );
}

/** NAMESPACE, POLICY_NAME, ACTION, SCOPE. */
export function policyTable(policies: readonly Policy[], view: TableView): string {
  return table(
    [
      { header: 'NAMESPACE', value: (row) => row.namespace },
      { header: 'POLICY_NAME', value: (row) => row.name },
      { header: 'ACTION', value: (row) => row.action.toUpperCase() + (row.dryRun ? ' (dry run)' : '') },
      { header: 'SCOPE', value: (row) => row.scope },
      { header: 'RULES', wide: true, value: (row) => row.rules.length },
    ],
    sorted(policies),
    view,
    'no policy: every connection is allowed',
  );
}

interface CertificateRow {
  readonly identity: string;
  readonly state: string;
  readonly cert: CertificateView['chain'][number] | null;
}

/** IDENTITY, TYPE, STATUS, VALID, SERIAL, NOT_AFTER, NOT_BEFORE: one line per certificate of a chain. */
export function certificateTable(
  certificates: readonly CertificateView[],
  view: TableView,
  nowMs: number | null,
): string {
  const rows = certificates.flatMap((one): CertificateRow[] => {
    const state = one.reason === null ? one.state : `${one.state}: ${one.reason}`;
    if (one.chain.length === 0) return [{ identity: one.identity, state, cert: null }];
    return one.chain.map((cert) => ({ identity: one.identity, state, cert }));
  });
  return table(
    [
      { header: 'IDENTITY', value: (row) => row.identity },
      { header: 'TYPE', value: (row) => row.cert?.type },
      { header: 'STATUS', value: (row) => row.state, tone: (row) => (row.state === 'available' ? 'good' : 'bad') },
      { header: 'VALID', value: (row) => validText(row.cert, nowMs) },
      { header: 'SERIAL', value: (row) => (view.wide ? row.cert?.serial : shortened(row.cert?.serial)) },
      { header: 'NOT_AFTER', value: (row) => row.cert?.notAfter },
      { header: 'NOT_BEFORE', value: (row) => row.cert?.notBefore },
    ],
    rows.toSorted((a, b) => compare(a.identity, b.identity)),
    view,
    'no certificate is held',
  );
}

/** NAMESPACE, NAME, SERIALS and IDENTITIES: how many certificates count no more, by serial and by identity. */
export function revocationTable(revocations: readonly Revocation[], view: TableView): string {
  const identityText = ({ identity, issuedBeforeMs }: RevokedIdentity): string =>
    `${identity} before ${new Date(issuedBeforeMs).toISOString()}`;
  return table(
    [
      { header: 'NAMESPACE', value: (row) => row.namespace },
      { header: 'NAME', value: (row) => row.name },
      { header: 'SERIALS', value: (row) => (view.wide ? row.serials.join(',') : row.serials.length) },
      {
        header: 'IDENTITIES',
        value: (row) => (view.wide ? row.identities.map(identityText).join(',') : row.identities.length),
      },
    ],
    sorted(revocations),
    view,
    'no certificate is revoked',
  );
}

/** The backend and its state; with the backend `pod`, POD, ADDRESS, STATE, TOOK_MS, NAMESPACE and REASON. */
export function captureTable(
  capture: NodeDump['capture'] | undefined,
  workloads: readonly Workload[],
  view: TableView,
): string {
  if (capture === undefined) return 'a waypoint captures nothing\n';
  const { backend = 'host', state, reason, pods = [] } = capture;
  const words = `backend ${backend}: ${state}${reason === null ? '' : `, ${reason}`}\n`;
  if (backend !== 'pod') return words;
  const nameOf = (addresses: readonly string[]): string => {
    const found = workloads.find((one) => one.addresses.some((address) => addresses.includes(address)));
    return found === undefined ? 'unknown' : `${found.namespace}/${found.name}`;
  };
  const rows = pods.map((pod) => ({ ...pod, pod: nameOf(pod.addresses) }));
  const columns = [
    { header: 'POD', value: (row: (typeof rows)[number]) => row.pod },
    { header: 'ADDRESS', value: (row: (typeof rows)[number]) => row.addresses.join(',') },
    {
      header: 'STATE',
      value: (row: (typeof rows)[number]) => row.state,
      tone: (row: (typeof rows)[number]) => (row.state === 'failed' ? ('bad' as const) : null),
    },
    { header: 'TOOK_MS', wide: true, value: (row: (typeof rows)[number]) => row.tookMs },
    { header: 'NAMESPACE', wide: true, value: (row: (typeof rows)[number]) => row.namespace },
    { header: 'REASON', value: (row: (typeof rows)[number]) => row.reason },
  ];
  rows.sort((one, other) => one.pod.localeCompare(other.pod));
  return words + table(columns, rows, view, 'no pod of this node has been found');
}

/** WORKLOAD, DIRECTION, LOCAL, REMOTE, REMOTE_TARGET, PROTOCOL: what runs, as the proxy sees it. */
export function connectionTable(connections: readonly ConnectionView[], view: TableView): string {
  const local = (row: ConnectionView): PeerView => (row.direction === 'inbound' ? row.destination : row.source);
  const remote = (row: ConnectionView): PeerView => (row.direction === 'inbound' ? row.source : row.destination);
  const protocol = { mtls: 'HBONE', 'same-node': 'SAME-NODE', plaintext: 'TCP' } as const;
  // Of waypoints alone.
  const ofRequests: readonly Column<ConnectionView>[] = [
    { header: 'REQUEST', value: ({ request }) => request && `${request.method} ${request.authority}${request.path}` },
    { header: 'ROUTE', value: ({ request }) => request?.route },
  ];
  return table(
    [
      { header: 'WORKLOAD', value: (row) => peerName(local(row)) },
      { header: 'DIRECTION', value: (row) => row.direction },
      { header: 'LOCAL', value: (row) => local(row).address },
      { header: 'REMOTE', value: (row) => remote(row).address },
      {
        header: 'REMOTE_TARGET',
        value: (row) => (row.direction === 'outbound' && row.destination.service) || peerName(remote(row)),
      },
      {
        header: 'PROTOCOL',
        value: (row) => protocol[row.transport],
        tone: (row) => (row.transport === 'plaintext' ? 'warn' : 'good'),
      },
      { header: 'SENT', value: (row) => bytesText(row.bytesSent), right: true },
      { header: 'RECEIVED', value: (row) => bytesText(row.bytesReceived), right: true },
      ...(connections.some(({ request }) => request !== undefined) ? ofRequests : []),
      { header: 'REMOTE_IDENTITY', wide: true, value: (row) => remote(row).identity },
      { header: 'SINCE', wide: true, value: (row) => row.startedAt },
      { header: 'THREAD', wide: true, value: (row) => row.thread },
    ],
    connections,
    view,
    'no connection is open',
  );
}

function peerName(peer: PeerView): string | null {
  return peer.workload === null ? null : `${peer.namespace ?? ''}/${peer.workload}`;
}

function waypointText(waypoint: WaypointAddress | null): string | null {
  if (waypoint === null) return null;
  return waypoint.hostname?.hostname ?? waypoint.address?.address ?? null;
}

function endpointText(service: Service, workloads: readonly Workload[]): string {
  const key = `${service.namespace}/${service.hostname}`;
  const endpoints = workloads.filter((workload) => Object.hasOwn(workload.services, key));
  return `${endpoints.filter((workload) => workload.healthy).length}/${endpoints.length}`;
}

function validText(cert: CertificateRow['cert'], nowMs: number | null): string | null {
  if (cert === null || nowMs === null) return null;
  return Date.parse(cert.notBefore) <= nowMs && nowMs < Date.parse(cert.notAfter) ? 'yes' : 'no';
}

function shortened(text: string | undefined): string | null {
  if (text === undefined) return null;
  return text.length > 16 ? `${text.slice(0, 16)}…` : text;
}

function sorted<Row extends { readonly namespace: string; readonly name: string }>(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
