// What is asked of a mesh that runs, for `why`: how the proxies on the path are doing, what they have seen, and how its
// pods are. All at once, each within its own time; who does not answer is named, and nothing waits for it.
import { messageOf } from '../../base/errors.ts';
import type { ObservedProxyView } from '../../controller/observed-proxies.ts';
import type { ProxyStateView, StatusView } from '../../model/views.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { connectedProxies, within } from '../ask-proxies.ts';
import type { MeshPart, OperableMesh } from '../mesh.ts';
import type { PodObject } from './endpoints.ts';
import type { AskedProxy } from './proxies.ts';

/** Where to ask. */
export interface WhyPath {
  /** Nodes of both ends, the source's first. */
  readonly nodes: readonly string[];
  /** `NAMESPACE/NAME` of the Gateway; null without one. */
  readonly waypoint: string | null;
  /** Fields of a filter of flows, by the source; null where flows are asked for elsewhere. */
  readonly flowFields: readonly (readonly [field: string, value: string])[] | null;
  /** False when the controller has been found not to answer. */
  readonly asksController: boolean;
  /** Namespaces of the endpoints. */
  readonly namespaces: readonly string[];
  /** Identities that each proxy needs for it; null for all that it has. */
  readonly identitiesOf: (proxy: { readonly kind: string; readonly name: string }) => readonly string[] | null;
}

export interface WhyFacts {
  readonly status: StatusView | null;
  readonly proxies: readonly AskedProxy[];
  readonly flows: readonly FlowView[];
  readonly pods: readonly PodObject[];
  readonly unknown: readonly string[];
}

/** Flows of each proxy that are looked at. */
const flowsMax = 2_000;
/** Nodes of endpoints that are asked: a service of hundreds of pods need not have all of them asked. */
const nodesMax = 8;
const controller: MeshPart = { kind: 'controller', name: '' };

/** Asks; never rejects. */
export async function gatherFacts(mesh: OperableMesh, path: WhyPath): Promise<WhyFacts> {
  const unknown: string[] = [];
  const known = async <Answer>(what: string, asked: Promise<Answer>, otherwise: Answer): Promise<Answer> => {
    try {
      return await within(asked, what);
    } catch (error) {
      unknown.push(`${what}: ${messageOf(error)}`);
      return otherwise;
    }
  };
  const nodes = path.nodes.slice(0, nodesMax);
  if (path.nodes.length > nodes.length) {
    unknown.push(`the proxies of ${path.nodes.length - nodes.length} more nodes were not asked`);
  }
  const fields = path.flowFields?.map(([field, value]) => [field, value]);
  const query = fields === undefined ? null : new URLSearchParams([...fields, ['last', `${flowsMax}`]]);
  const ask = (part: Part) => askPart(part, query === null ? null : `/flows?${query}`, path, unknown);
  const status = path.asksController
    ? (mesh.admin(controller, '/status') as Promise<StatusView>)
    : Promise.resolve(null);
  const [statusNow, asked, lists] = await Promise.all([
    known<StatusView | null>('the status of the controller', status, null),
    connectedTo(mesh, path).then((connected) => Promise.all(partsOf(mesh, nodes, path, connected).map(ask))),
    Promise.all(path.namespaces.map((name) => known(`pods of ${name}`, mesh.objects('Pod', name), []))),
  ]);
  return {
    status: statusNow,
    proxies: asked.map(({ proxy }) => proxy),
    flows: asked.flatMap(({ flows }) => flows),
    pods: lists.flat() as PodObject[],
    unknown,
  };
}

interface Part {
  readonly kind: 'node' | 'waypoint';
  readonly name: string;
  readonly pod: string | null;
  readonly ask: (path: string) => Promise<unknown>;
  readonly text: (path: string) => Promise<string>;
}

/** The proxies that the controller can ask: that costs least. [] where it does not say. */
async function connectedTo(mesh: OperableMesh, path: WhyPath): Promise<readonly ObservedProxyView[]> {
  return path.asksController ? await connectedProxies(mesh).catch(() => []) : [];
}

/** The proxy of each node, every pod of the waypoint; what is not connected is asked for by its name. */
function partsOf(
  mesh: OperableMesh,
  nodes: readonly string[],
  { waypoint }: WhyPath,
  connected: readonly ObservedProxyView[],
): readonly Part[] {
  const parts = [
    ...nodes.map((name) => ({ kind: 'node', name }) as const),
    ...(waypoint === null ? [] : [{ kind: 'waypoint', name: waypoint } as const]),
  ];
  return parts.flatMap((part) => {
    const pods = connected.filter(({ kind, name }) => kind === part.kind && name === part.name);
    return pods.length === 0 ? [partOf(mesh, part, null)] : pods.map(({ pod }) => partOf(mesh, part, pod));
  });
}

/** Asked by the controller where its pod is known to that. */
function partOf(mesh: OperableMesh, part: Exclude<MeshPart, { kind: 'controller' }>, pod: string | null): Part {
  const [asked, before] = pod === null ? [part, ''] : [controller, `/proxies/pod/${pod}`];
  const ask = (path: string): Promise<unknown> => mesh.admin(asked, `${before}${path}`);
  return { ...part, pod, ask, text: (path) => mesh.text(asked, `${before}${path}`) };
}

/** How the proxy is doing and what it has seen, or why it does not say. */
async function askPart(
  part: Part,
  flowsPath: string | null,
  path: WhyPath,
  unknown: string[],
): Promise<{ proxy: AskedProxy; flows: FlowView[] }> {
  const { kind, name, pod } = part;
  const identities = path.identitiesOf(part);
  const base = { kind, name, pod, identities };
  const [state, lines] = await Promise.allSettled([
    within(part.ask('/state') as Promise<ProxyStateView>, name),
    flowsPath === null ? '' : within(part.text(flowsPath), name),
  ]);
  const flows = lines.status === 'fulfilled' ? flowsOf(lines.value) : [];
  if (lines.status === 'rejected') unknown.push(`what the proxy ${name} has seen: ${messageOf(lines.reason)}`);
  if (state.status === 'fulfilled' && Array.isArray(state.value?.threads)) {
    return { proxy: { ...base, state: state.value, problem: null }, flows };
  }
  if (state.status === 'rejected') return { proxy: { ...base, state: null, problem: messageOf(state.reason) }, flows };
  unknown.push(`how the proxy ${name} is doing: it is of an earlier version, and does not say`);
  return { proxy: { ...base, state: null, problem: null }, flows };
}

function flowsOf(lines: string): FlowView[] {
  return lines.split('\n').flatMap((line) => {
    try {
      const flow = JSON.parse(line) as FlowView;
      return typeof flow.time === 'string' && flow.source && flow.destination && flow.reporter ? [flow] : [];
    } catch {
      return []; // the end of what a proxy could still say
    }
  });
}
