// The proxies as the browser gets them: what the controller knows of each, and what each last said of itself.
import { leafRows } from '../../analyze/certificate-rows.ts';
import type {
  CommandView,
  PageNote,
  ProxiesView,
  ProxyCertificateRow,
  ProxyLoadView,
  ProxyRow,
  ReplicaView,
} from '../../model/page-views.ts';
import type { MeshView, ProxyStateView, ProxyView, StatusView } from '../../model/views.ts';
import type { ObservedProxyView } from '../observed-proxies.ts';
import { severities, worstFirst } from './edge-words.ts';
import { clockText } from './graph-view.ts';
import type { Carries, LastCarried } from './last-carried.ts';

/** What a proxy last said, and when. */
export interface HeardState {
  readonly view: ObservedProxyView;
  readonly state: ProxyStateView | null;
  readonly heardAt: string | null;
}

export interface ProxiesSources {
  /** With the proxies of every replica that answers. */
  readonly status: StatusView;
  readonly replicas: readonly ReplicaView[];
  readonly mesh: MeshView;
  /** By `NAMESPACE/NAME` of the pod. */
  readonly states: ReadonlyMap<string, HeardState>;
  readonly carried: Pick<LastCarried, 'since'>;
  readonly nowMs: number;
}

/** Whoever takes an update takes it within that. */
const behindMs = 5_000;
/** Events that wait so long hold up what passes through. */
const busyMs = 50;
const veryBusyMs = 250;
const fullShare = 0.9;
const certificatesMax = 200;

/** Every proxy that there is or should be, worst first. */
export function proxiesView(sources: ProxiesSources): ProxiesView {
  const { status, replicas, nowMs } = sources;
  const rows = [...status.proxies.map((proxy) => rowOf(proxy, sources)), ...missingRows(sources)];
  const rank = ({ notes, state }: ProxyRow): number => {
    const worst = Math.min(3, ...notes.map(({ severity }) => severities[severity]));
    return worst * 2 + (state === 'in step' ? 1 : 0);
  };
  rows.sort((a, b) => rank(a) - rank(b) || (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1));
  const commands = [
    { what: 'How every proxy stands', command: 'ambientctl status' },
    { what: 'Every certificate', command: 'ambientctl certs' },
  ];
  const inStep = rows.filter(({ state }) => state === 'in step').length;
  const controller = { version: status.version, inStep, proxies: rows.length };
  return { time: new Date(nowMs).toISOString(), controller, replicas, proxies: rows, commands };
}

/** Nodes with enrolled pods whose proxy does not follow this controller: by name, what that means for their pods. */
export function proxiesDown({ proxies }: ProxiesView): ReadonlyMap<string, PageNote> {
  const down = proxies.filter(({ kind, state }) => kind === 'node' && state === 'not connected');
  return new Map(
    down.map(({ node, text, notes }) => {
      const isDown = notes.some(({ id }) => id === 'proxy-down');
      const told = `its proxy is ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
      return [node, isDown ? error('proxy-down', told) : note('warning', 'proxy-behind', told)];
    }),
  );
}

/** The replicas that do not answer: proxies that follow one of these are not seen here. */
export function silentReplicas(replicas: readonly ReplicaView[]): string[] {
  return replicas.filter(({ proxies }) => proxies === null).map(({ pod }) => pod);
}

/**
 * Nodes that pods of the mesh are on, and that no node proxy of the status stands for. None while a replica is silent:
 * theirs may follow that one.
 */
export function missingNodes({
  status,
  mesh,
  replicas,
}: Pick<ProxiesSources, 'status' | 'mesh' | 'replicas'>): string[] {
  if (silentReplicas(replicas).length > 0) return [];
  const there = new Set(status.proxies.flatMap(({ kind, node }) => (kind === 'node' ? [node] : [])));
  const enrolled = mesh.workloads.filter(({ tunnelProtocol, node }) => tunnelProtocol === 'HBONE' && node !== '');
  return [...new Set(enrolled.map(({ node }) => node))].filter((node) => !there.has(node)).sort();
}

function rowOf(proxy: ProxyView, { states, status, carried, nowMs }: ProxiesSources): ProxyRow {
  const heard = [...states.values()].find(({ view }) => isOf(view, proxy)) ?? null;
  const { kind, node, version } = proxy;
  const name = kind === 'node' ? node : (heard?.view.name ?? proxy.name);
  const { behindSince, connected } = proxy;
  const isLost = kind === 'node' && connected === false && behindSince !== null;
  const carries = isLost ? carried.since(node, Date.parse(behindSince), nowMs) : 'unknown';
  const { state, text } = stateOf(proxy, carries, nowMs);
  const said = heard?.state ?? null;
  const refused = proxy.types.flatMap((type) => type.refused);
  const certificates = said === null ? [] : certificatesOf(name, said, nowMs);
  const load = said === null || state === 'not connected' ? null : loadOf(said);
  const notes = [
    ...stateNotes({ state, text, carries }, name, behindSince, nowMs),
    ...refused.slice(0, 3).map(({ resource, reason }) => error('proxy-refused', `It refuses ${resource}: ${reason}`)),
    ...(load === null ? [] : busyNotes(name, load)),
    ...(said === null ? [] : saidNotes(said)),
    ...certificateNotes(certificates),
    ...(proxy.findings ?? [])
      .filter(({ severity }) => severity !== 'info')
      .map(({ severity, text: what, fix }) => note(severity, 'configuration', `${what}: ${fix}`)),
    ...(version === status.version
      ? []
      : [note('info', 'configuration', `It is of version ${version}, the controller of ${status.version}`)]),
  ];
  return {
    ...{ kind, name, node, version, state, text, refused, load, certificates },
    pod: heard?.view.pod ?? (kind === 'node' ? `ambient-system/${proxy.name}` : proxy.name),
    since: proxy.behindSince,
    heardAt: heard?.heardAt ?? null,
    notes: notes.sort(worstFirst),
    commands: commandsOf(kind, name),
  };
}

function isOf(view: ObservedProxyView, { kind, name, node }: ProxyView): boolean {
  return view.kind === kind && view.node === node && view.pod.endsWith(`/${name}`);
}

function stateOf(proxy: ProxyView, carries: Carries, nowMs: number): Pick<ProxyRow, 'state' | 'text'> {
  const { behindSince, connected, ready, inStep, types } = proxy;
  const since = behindSince === null ? '' : ` since ${clockText(behindSince)}`;
  if (connected === false) return { state: 'not connected', text: `Not connected${since}${carriesText[carries]}` };
  if (types.some(({ refused }) => refused.length > 0)) {
    return { state: 'refused', text: `Refuses some of its configuration${since}` };
  }
  const isLate = behindSince !== null && nowMs - Date.parse(behindSince) > behindMs;
  if (!inStep && isLate) return { state: 'behind', text: `Behind${since}: it has not taken what the controller sent` };
  if (!ready) return { state: 'not ready', text: 'Connected, and not ready' };
  return { state: 'in step', text: 'In step' };
}

/** What of it others tell. */
const carriesText: Readonly<Record<Carries, string>> = {
  still: ', and it carries what comes to its pods',
  'no longer': ', and nothing reached its pods since',
  unknown: '',
};

/** What that is: what serves is merely cut off. */
const lostWords: Readonly<Record<Carries, string>> = {
  still: 'cannot reach the controller',
  'no longer': 'is down',
  unknown: 'is down or cannot reach the controller',
};

function stateNotes(
  { state, text, carries }: Pick<ProxyRow, 'state' | 'text'> & { readonly carries: Carries },
  name: string,
  behindSince: string | null,
  nowMs: number,
): PageNote[] {
  const ago = behindSince === null ? '' : ` for ${secondsText(nowMs - Date.parse(behindSince))}`;
  switch (state) {
    case 'not connected':
      return [
        error(
          carries === 'still' ? 'proxy-behind' : 'proxy-down',
          `The proxy of ${name} ${lostWords[carries]}${ago}: ${text}`,
        ),
      ];
    case 'behind':
      return [error('proxy-behind', `${name} has had no configuration${ago}: ${text}`)];
    case 'not ready':
      return [note('warning', 'proxy-down', `The proxy of ${name} is connected and not ready`)];
    default:
      return [];
  }
}

function busyNotes(name: string, { loopDelayP99Ms, loopDelayMaxMs, threads }: ProxyLoadView): PageNote[] {
  const notes: PageNote[] = [];
  if (loopDelayP99Ms >= busyMs) {
    const waits = `events wait ${ms(loopDelayP99Ms)} (p99), ${ms(loopDelayMaxMs)} at most`;
    const text = `The proxy of ${name} is overloaded: ${waits}`;
    notes.push(note(loopDelayP99Ms >= veryBusyMs ? 'error' : 'warning', 'proxy-busy', text));
  }
  for (const { id, state, restarts } of threads) {
    if (state === 'dead') notes.push(error('proxy-down', `Its data thread ${id} has ended`));
    else if (restarts > 0)
      notes.push(note('info', 'proxy-down', `Its data thread ${id} was replaced ${restarts} times`));
  }
  return notes;
}

/** What a proxy says itself of its limits, its file, its controller. */
function saidNotes({ limits, configFile, capture, pending, discovery }: ProxyStateView): PageNote[] {
  const notes: PageNote[] = [];
  for (const { limit, value, use } of limits) {
    if (use === null || value === 0 || use < value * fullShare) continue;
    notes.push(note('warning', 'overload', `Its limit ${limit} is nearly reached: ${use} of ${value}`));
  }
  if (configFile?.error != null) {
    notes.push(error('configuration', `Its configuration file is not used as it stands: ${configFile.error}`));
  }
  if (capture?.state === 'failed') notes.push(error('configuration', `Pods are not captured: ${capture.reason ?? ''}`));
  if (pending.length > 0) notes.push(note('warning', 'configuration', `It waits for: ${pending.join('; ')}`));
  if (discovery.lastError !== null && !discovery.connected) {
    notes.push(error('proxy-behind', `It cannot follow the controller: ${discovery.lastError}`));
  }
  return notes;
}

function certificateNotes(certificates: readonly ProxyCertificateRow[]): PageNote[] {
  return certificates
    .filter(({ state }) => state !== 'ok')
    .slice(0, 5)
    .map(({ identity, state, notAfter, note: why }) => {
      const end = notAfter === null ? '' : ` (ends ${notAfter.slice(0, 16).replace('T', ' ')})`;
      const words = { late: 'was not renewed in time', expired: 'has expired', missing: 'is missing', ok: '' }[state];
      return error('certificate', `The certificate of ${identity} ${words}${end}${why === '' ? '' : `: ${why}`}`);
    });
}

function certificatesOf(holder: string, { certificates }: ProxyStateView, nowMs: number): ProxyCertificateRow[] {
  const rank = { missing: 0, expired: 1, late: 2, ok: 3 };
  return leafRows(holder, certificates, nowMs)
    .map(({ identity, state, notAfter, note: why }): ProxyCertificateRow => {
      const known = state === 'late' || state === 'expired' || state === 'missing' ? state : 'ok';
      return { identity, state: known, notAfter, note: why };
    })
    .sort((a, b) => rank[a.state] - rank[b.state] || (a.identity < b.identity ? -1 : 1))
    .slice(0, certificatesMax);
}

function loadOf({ threads }: ProxyStateView): ProxyLoadView {
  const views = threads.map(({ id, state, connections, restarts, loopDelayMs }) => {
    return { id, state, connections, restarts, loopDelayP99Ms: tenth(loopDelayMs.p99) };
  });
  return {
    connections: threads.reduce((sum, { connections }) => sum + connections, 0),
    loopDelayP99Ms: Math.max(0, ...views.map((one) => one.loopDelayP99Ms)),
    loopDelayMaxMs: tenth(Math.max(0, ...threads.map(({ loopDelayMs }) => loopDelayMs.max))),
    threads: views,
  };
}

function missingRows(sources: ProxiesSources): ProxyRow[] {
  return missingNodes(sources).map((node) => ({
    ...({ kind: 'node', name: node, pod: '', node, version: '', state: 'not connected', since: null } as const),
    text: 'Not connected, and there is no pod of it',
    ...{ refused: [], load: null, certificates: [], heardAt: null },
    notes: [error('proxy-down', `Node ${node} has enrolled pods and no node proxy: they reach nobody`)],
    commands: commandsOf('node', node),
  }));
}

function commandsOf(kind: ProxyRow['kind'], name: string): CommandView[] {
  return [
    { what: 'Connections that it carries', command: `ambientctl config connections --${kind} ${name}` },
    { what: 'Its certificates', command: `ambientctl certs --${kind} ${name}` },
    { what: 'What it knows and does', command: `ambientctl config all --${kind} ${name}` },
  ];
}

function error(id: PageNote['id'], text: string): PageNote {
  return note('error', id, text);
}

function note(severity: PageNote['severity'], id: PageNote['id'], text: string): PageNote {
  return { severity, id, text };
}

function secondsText(elapsedMs: number): string {
  const seconds = Math.max(0, Math.round(elapsedMs / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
