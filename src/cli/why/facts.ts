// What is asked of a mesh that runs, for `why`: how the proxies on the path are doing, what they have seen, and how its
// pods are. All at once, each within its own time; who does not answer is named, and nothing waits for it.
import { messageOf } from '../../base/errors.ts';
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
  /** Fields of a filter of flows, by the source. */
  readonly flowFields: readonly (readonly [field: string, value: string])[];
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
const flowsMax = 5_000;
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
  const parts = partsOf(mesh, nodes, path.waypoint);
  const fields = new URLSearchParams([
    ...path.flowFields.map(([field, value]) => [field, value]),
    ['last', `${flowsMax}`],
  ]);
  const [status, asked, lists] = await Promise.all([
    known(
      'the status of the controller',
      mesh.admin(controller, '/status') as Promise<StatusView>,
      null as unknown as StatusView,
    ),
    parts.then((all) => Promise.all(all.map((part) => askPart(part, `/flows?${fields}`, path, unknown)))),
    Promise.all(path.namespaces.map((name) => known(`pods of ${name}`, mesh.objects('Pod', name), []))),
  ]);
  return {
    status,
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

/** Node proxies by their nodes, a waypoint by each of its pods that is connected. */
async function partsOf(
  mesh: OperableMesh,
  nodes: readonly string[],
  waypoint: string | null,
): Promise<readonly Part[]> {
  const parts = nodes.map((name) => partOf(mesh, { kind: 'node', name }, null));
  if (waypoint === null) return parts;
  const connected = await connectedProxies(mesh).catch(() => []);
  const pods = connected.filter(({ kind, name }) => kind === 'waypoint' && name === waypoint);
  const part = { kind: 'waypoint', name: waypoint } as const;
  if (pods.length === 0) return [...parts, partOf(mesh, part, null)];
  return [...parts, ...pods.map(({ pod }) => partOf(mesh, part, pod))];
}

/** A pod of a waypoint is asked by the controller; what has no other of its kind, by its own name. */
function partOf(mesh: OperableMesh, part: Exclude<MeshPart, { kind: 'controller' }>, pod: string | null): Part {
  const [asked, before] = pod === null ? [part, ''] : [controller, `/proxies/pod/${pod}`];
  const ask = (path: string): Promise<unknown> => mesh.admin(asked, `${before}${path}`);
  return { ...part, pod, ask, text: (path) => mesh.text(asked, `${before}${path}`) };
}

/** How the proxy is doing and what it has seen, or why it does not say. */
async function askPart(
  part: Part,
  flowsPath: string,
  path: WhyPath,
  unknown: string[],
): Promise<{ proxy: AskedProxy; flows: FlowView[] }> {
  const { kind, name, pod } = part;
  const identities = path.identitiesOf(part);
  const base = { kind, name, pod, identities };
  const [state, lines] = await Promise.allSettled([
    within(part.ask('/state') as Promise<ProxyStateView>, name),
    within(part.text(flowsPath), name),
  ]);
  const flows = lines.status === 'fulfilled' ? flowsOf(lines.value) : [];
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
