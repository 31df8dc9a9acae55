// `ambientctl stat` and `ambientctl top`: the golden signals of the last minutes, out of the flows that the proxies
// remember. No metrics server is asked.
import { MeshError } from '../base/errors.ts';
import { deploymentOf, durationText } from '../model/flow-line.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { type FlowStats, type GroupedFlows, statsOf } from '../telemetry/flow-stats.ts';
import { isToldOnce } from '../telemetry/flow-verdict.ts';
import { type Command, type CommandContext, type CommandResult, durationOption, textOption } from './command.ts';
import { watch } from './redraw.ts';
import { refuseSelector, selectedKeys, selectorOption } from './selection.ts';
import { bytesText, type Column, table } from './table.ts';
import { readFlowsOf } from './tap.ts';
import { meshOf } from './which-mesh.ts';

export const statKinds = ['services', 'workloads', 'namespaces', 'routes'] as const;
export type StatKind = (typeof statKinds)[number];

const windowMs = 60_000;
const topEveryMs = 1_000;
const topRowsMax = 30;

/** One row of `-o json`: a contract. */
export interface StatRow extends FlowStats {
  readonly name: string;
}

/** Sums flows up by what they went to. */
export const stat: Command = async (context) => {
  const kind = kindOf(context.args[0] ?? 'services');
  const rows = await rowsOf(context, (flow) => groupOf(kind, flow));
  return statResult(rows, kind);
};

/** Draws the busiest paths of the mesh again and again until Ctrl-C; once with `--once` or where no terminal is. */
export const top: Command = async (context) => {
  const { io } = context;
  const read = async (): Promise<CommandResult> => topResult((await rowsOf(context, pathOf)).slice(0, topRowsMax));
  if (context.options.once === true || !io.isTerminal) return await read();
  await watch(context, topEveryMs, read);
  return 0;
};

/** The table of `stat` for rows that are at hand. */
export function statResult(rows: readonly StatRow[], kind: StatKind): CommandResult {
  const columns: Column<StatRow>[] = [
    { header: kind.slice(0, -1).toUpperCase(), value: (row) => row.name },
    ...signals,
  ];
  return { data: { [kind]: rows }, text: (view) => table(columns, rows, view, 'no traffic in this time') };
}

/** The table of `top` for rows that are at hand. */
export function topResult(rows: readonly StatRow[]): CommandResult {
  const columns: Column<StatRow>[] = [{ header: 'FROM > TO WHAT', value: (row) => row.name }, ...signals];
  return { data: { paths: rows }, text: (view) => table(columns, rows, view, 'no traffic in this time') };
}

const goodShare = 0.99;
const signals: readonly Column<StatRow>[] = [
  {
    header: 'SECURED',
    value: (row) => shareText(row.secured),
    right: true,
    tone: (row) => (row.secured < 1 ? 'warn' : 'good'),
  },
  {
    header: 'SUCCESS',
    value: (row) => (row.success === null ? null : shareText(row.success)),
    right: true,
    tone: (row) => (row.success === null ? null : row.success < goodShare ? 'bad' : 'good'),
  },
  { header: 'RPS', value: (row) => (row.requests === 0 ? null : `${rateText(row.requestsPerS)}rps`), right: true },
  { header: 'P50', value: (row) => timeText(row.p50Ms), right: true },
  { header: 'P95', value: (row) => timeText(row.p95Ms), right: true },
  { header: 'P99', value: (row) => timeText(row.p99Ms), right: true },
  { header: 'TCP_CONN', value: (row) => row.connections || null, right: true },
  { header: 'FAILED', value: (row) => row.connectionsFailed || null, right: true },
  {
    header: 'REFUSED',
    value: (row) => row.refused || null,
    right: true,
    tone: (row) => (row.refused > 0 ? 'bad' : null),
  },
  { header: 'SENT', wide: true, value: (row) => bytesText(row.bytesSent), right: true },
  { header: 'RECEIVED', wide: true, value: (row) => bytesText(row.bytesReceived), right: true },
  { header: 'LAST TROUBLE', value: (row) => row.lastTrouble },
];

async function rowsOf(context: CommandContext, group: (flow: FlowView) => string | null): Promise<StatRow[]> {
  const asked = durationOption(context, 'window', windowMs);
  const namespace = textOption(context, 'namespace');
  const selected = await selectedPods(context);
  const flows: FlowView[] = [];
  for await (const flow of readFlowsOf(context, false)) {
    const peers = [flow.source, flow.destination];
    const isHere = namespace === undefined || peers.some((peer) => peer.namespace === namespace);
    const isMeant = selected === null || peers.some((peer) => selected.has(`${peer.namespace}/${peer.workload}`));
    if (isHere && isMeant && isToldOnce(flow)) flows.push(flow);
  }
  // Flows of a file are of their own time.
  const isSaved = textOption(context, 'inputFile') !== undefined;
  const nowMs = isSaved ? Math.max(...flows.map(({ time }) => Date.parse(time))) : Date.now();
  const recent = flows.filter(({ time }) => nowMs - Date.parse(time) <= asked);
  return statsOf(recent, group, asked, nowMs).map(rowOf);
}

async function selectedPods(context: CommandContext): Promise<ReadonlySet<string> | null> {
  if (selectorOption(context) === null) return null;
  refuseSelector(textOption(context, 'inputFile'));
  return selectedKeys(context, await meshOf(context), ['Pod']);
}

function rowOf({ group, stats }: GroupedFlows): StatRow {
  return { name: group, ...stats };
}

function kindOf(text: string): StatKind {
  const found = statKinds.find(
    (kind) => kind === text || kind.slice(0, -1) === text || shortKinds[kind].includes(text),
  );
  if (found !== undefined) return found;
  throw new MeshError('USAGE', { reason: `there is no '${text}' to sum up by; use ${statKinds.join(', ')}` });
}

const shortKinds: Readonly<Record<StatKind, readonly string[]>> = {
  services: ['svc'],
  workloads: ['deploy', 'deployments', 'pods', 'po'],
  namespaces: ['ns'],
  routes: [],
};

function groupOf(kind: StatKind, flow: FlowView): string | null {
  const { destination } = flow;
  switch (kind) {
    case 'services':
      return serviceOf(flow);
    case 'workloads':
      return destination.workload === null ? null : `${destination.namespace}/${deploymentOf(destination.workload)}`;
    case 'namespaces':
      return destination.namespace ?? destination.service?.split('.')[1] ?? null;
    case 'routes':
      return flow.kind === 'request' && 'route' in flow ? (flow.route ?? '(no route)') : null;
    default:
      return kind satisfies never;
  }
}

/** `NAMESPACE/NAME` of the service; the workload where none was called. */
function serviceOf({ destination: { service, namespace, workload } }: FlowView): string | null {
  if (service === null) return workload === null ? null : `${namespace}/${deploymentOf(workload)} (direct)`;
  const [name, where] = service.slice(service.indexOf('/') + 1).split('.');
  return `${where}/${name}`;
}

function pathOf(flow: FlowView): string | null {
  const from =
    flow.source.workload === null
      ? flow.source.address.replace(/:\d+$/, '')
      : `${flow.source.namespace}/${deploymentOf(flow.source.workload)}`;
  const what = flow.kind === 'request' ? `${flow.method} ${flow.path}` : 'TCP';
  return `${from} > ${serviceOf(flow) ?? flow.destination.address} ${what}`;
}

function shareText(share: number): string {
  const percent = share * 100;
  return `${percent === 100 || percent === 0 ? percent : percent.toFixed(1)}%`;
}

function rateText(perS: number): string {
  return perS >= 10 ? String(Math.round(perS)) : perS.toFixed(1);
}

function timeText(ms: number | null): string | null {
  return ms === null ? null : durationText(ms);
}
