// The two ends of a `why` question: from what a person types to workloads, a service, or an address outside the mesh.

import { MeshError } from '../base/errors.ts';
import { canonicalIp, splitHostPort } from '../base/ip.ts';
import { nearestName } from '../base/nearest-name.ts';
import type { MeshIndex } from '../model/mesh-index.ts';
import type { Service, Workload } from '../model/types.ts';

/** What an end stands for. `title` is what a person would call it. */
export type NamedEnd =
  | { readonly kind: 'workloads'; readonly title: string; readonly workloads: readonly Workload[] }
  | { readonly kind: 'service'; readonly title: string; readonly service: Service }
  | { readonly kind: 'outside'; readonly title: string; readonly address: string };

export interface EndText {
  readonly name: string;
  readonly port: number | null;
}

const forms = 'write NS/POD, deploy/NAME with -n NS, svc/NAME.NS, or an address';
const ownerWords = new Map<string, readonly Workload['workloadType'][]>([
  ['deploy', ['deployment']],
  ['deployment', ['deployment']],
  ['sts', ['pod']],
  ['statefulset', ['pod']],
  ['ds', ['pod']],
  ['daemonset', ['pod']],
  ['job', ['job']],
  ['cronjob', ['cronjob']],
  // As metrics call it, which do not say what owns it.
  ['workload', ['deployment', 'pod', 'job', 'cronjob']],
]);

/**
 * Takes `NAME:PORT` apart; an IPv6 address with a port is in brackets.
 * @throws MeshError USAGE for a port that is none.
 */
export function splitPort(text: string): EndText {
  if (canonicalIp(text) !== null) return { name: text, port: null };
  const bare = /^\[(.*)\]$/.exec(text)?.[1];
  if (bare !== undefined) return { name: bare, port: null };
  const colon = text.lastIndexOf(':');
  if (colon < 0) return { name: text, port: null };
  const split = splitHostPort(text);
  if (split === null || split.port === 0) {
    throw new MeshError('USAGE', { reason: `"${text}" ends in no port; ${forms}, then :PORT` });
  }
  return { name: split.host, port: split.port };
}

/**
 * Finds what a name stands for.
 * @throws MeshError USAGE when it has none of the forms, NOT_FOUND (with the nearest name) when nothing bears it.
 */
export function resolveEnd(index: MeshIndex, name: string, namespace: string, client: string | null): NamedEnd {
  const ip = canonicalIp(name);
  if (ip !== null) return resolveAddress(index, ip, client);
  const parts = name.split('/');
  if (parts.some((part) => part === '') || parts.length > 3) {
    throw new MeshError('USAGE', { reason: `"${name}" names nothing; ${forms}` });
  }
  // NS/deploy/NAME is deploy/NAME in another namespace.
  const space = parts.length === 3 ? parts.shift()! : namespace;
  const [first = '', second] = parts;
  if (second === undefined) return resolvePod(index, space, first);
  if (first === 'svc' || first === 'service') return resolveService(index, second, space, client);
  if (first === 'pod' || first === 'po') return resolvePod(index, space, second);
  const types = ownerWords.get(first);
  return types === undefined ? resolvePod(index, first, second) : resolveOwner(index, space, first, second, types);
}

function resolveAddress(index: MeshIndex, ip: string, client: string | null): NamedEnd {
  const service = index.serviceByVip(ip, client);
  if (service !== null) return { kind: 'service', title: serviceTitle(service), service };
  const workload = index.workloadByAddress(ip);
  if (workload === null) return { kind: 'outside', title: ip, address: ip };
  return { kind: 'workloads', title: workload.name, workloads: [workload] };
}

function resolvePod(index: MeshIndex, namespace: string, name: string): NamedEnd {
  const all = [...index.workloads()];
  const found = all.filter((one) => one.namespace === namespace && one.name === name);
  if (found.length > 0) return { kind: 'workloads', title: name, workloads: found };
  throw notFound(`pod ${namespace}/${name}`, meantByPod(index, namespace, name));
}

/** What is meant by a pod that is not there: its owner, one elsewhere, a service without its word, or a slip. */
function meantByPod(index: MeshIndex, namespace: string, name: string): string | null {
  const all = [...index.workloads()];
  if (all.some((one) => one.namespace === namespace && one.workloadName === name)) {
    return `deploy/${name} -n ${namespace}`;
  }
  const titles = [...index.services()].map(serviceTitle);
  const title = [name, `${name}.${namespace}`].find((one) => titles.includes(one));
  if (title !== undefined) return `svc/${title}`;
  const near = nearestName(
    `${namespace}/${name}`,
    all.map((one) => `${one.namespace}/${one.name}`),
  );
  if (near !== null) return near;
  const elsewhere = all.find((one) => one.name === name) ?? all.find((one) => one.workloadName === name);
  if (elsewhere === undefined) return null;
  return `${elsewhere.namespace}/${elsewhere.name === name ? name : `deploy/${name}`}`;
}

function resolveOwner(
  index: MeshIndex,
  namespace: string,
  word: string,
  name: string,
  types: readonly Workload['workloadType'][],
): NamedEnd {
  const all = [...index.workloads()].filter((one) => types.includes(one.workloadType));
  const found = all.filter((one) => one.namespace === namespace && one.workloadName === name);
  if (found.length > 0) return { kind: 'workloads', title: name, workloads: found.sort(byHealthAndName) };
  const elsewhere = all.find((one) => one.workloadName === name);
  const names = all.filter((one) => one.namespace === namespace).map((one) => `${word}/${one.workloadName}`);
  const near =
    elsewhere === undefined ? nearestName(`${word}/${name}`, names) : `${word}/${name} -n ${elsewhere.namespace}`;
  throw notFound(`${word}/${name} in namespace ${namespace}`, near);
}

/** `NAME.NAMESPACE`, `NAME`, or a host name. */
function resolveService(index: MeshIndex, name: string, namespace: string, client: string | null): NamedEnd {
  const byHostname = index.serviceByHostname(name, client);
  const [short = '', space = namespace] = name.split('.');
  const all = [...index.services()];
  const service = byHostname ?? all.find((one) => one.name === short && one.namespace === space);
  if (service != null) return { kind: 'service', title: serviceTitle(service), service };
  const titles = all.map((one) => `svc/${serviceTitle(one)}`);
  // A service of the name in another namespace is meant where no namespace was said.
  const elsewhere = name.includes('.') ? undefined : all.find((one) => one.name === short);
  const near =
    elsewhere === undefined ? nearestName(`svc/${short}.${space}`, titles) : `svc/${serviceTitle(elsewhere)}`;
  throw notFound(`service ${short}.${space}`, near);
}

/** `NAME.NAMESPACE`, as people call a service. */
export function serviceTitle(service: Service): string {
  return `${service.name}.${service.namespace}`;
}

function byHealthAndName(a: Workload, b: Workload): number {
  return Number(b.healthy) - Number(a.healthy) || (a.name < b.name ? -1 : 1);
}

function notFound(what: string, near: string | null): MeshError {
  const hint =
    near === null ? 'see what there is with ambientctl config workloads or services' : `did you mean ${near}?`;
  return new MeshError('NOT_FOUND', { what, hint });
}
