// The filter of `ambientctl tap` and of whoever else reads flows: terms of one field are alternatives, different fields
// must all hold, and a term may be negated. The manner is that of hubble's `observe`, whose users know it already.
import { RE2JS } from 're2js';
import { MeshError } from '../base/errors.ts';
import { cidrContains, parseCidr, splitHostPort } from '../base/ip.ts';
import type { PeerView } from '../model/views.ts';
import type { FlowView, RequestRecord } from './access-record.ts';
import { flowVerdicts, verdictOf } from './flow-verdict.ts';

export type FlowTest = (flow: FlowView) => boolean;

type Made = (value: string, pods: PodsOf) => FlowTest;

/** `NAMESPACE/NAME` of the pods that a label selector lets through. */
export type PodsOf = (selector: string) => ReadonlySet<string>;

/** By field; `from`/`to` in a name mean the source or the destination, without, either. */
const makers = {
  pod: either(podTest),
  fromPod: source(podTest),
  toPod: destination(podTest),
  label: either(labelTest),
  fromLabel: source(labelTest),
  toLabel: destination(labelTest),
  namespace: either(namespaceTest),
  fromNamespace: source(namespaceTest),
  toNamespace: destination(namespaceTest),
  identity: either(identityTest),
  fromIdentity: source(identityTest),
  toIdentity: destination(identityTest),
  ip: either(ipTest),
  fromIp: source(ipTest),
  toIp: destination(ipTest),
  toPort: portTest,
  toService: serviceTest,
  verdict: verdictTest,
  flag: exactTest((flow) => flow.flag),
  policy: policyTest,
  transport: oneOfTest(['mtls', 'same-node', 'plaintext'], (flow) => flow.transport),
  protocol: protocolTest,
  method: (value: string) => exactTest((flow) => flow.method)(value.toUpperCase()),
  path: pathTest,
  status: statusTest,
  route: (value: string) => (flow: FlowView) => requestOf(flow)?.route?.includes(value) === true,
  requestId: exactTest((flow) => requestOf(flow)?.requestId),
  traceId: exactTest((flow) => flow.traceId),
  slowerThan: slowerTest,
  node: (value: string) => (flow: FlowView) => flow.reporter.kind === 'node' && flow.reporter.name === value,
  waypoint: (value: string) => (flow: FlowView) => flow.reporter.kind === 'waypoint' && flow.reporter.name === value,
} as const satisfies Readonly<Record<string, Made>>;

export type FlowField = keyof typeof makers;

/** Fields whose values are label selectors. */
export const labelFields: readonly FlowField[] = ['label', 'fromLabel', 'toLabel'];

/** The terms of a query: `?fromPod=shop/web&toService=cart.shop`; what is no field is left out. */
export function flowTermsOf(query: URLSearchParams): FlowTerm[] {
  return [...query].flatMap(([field, value]) =>
    Object.hasOwn(makers, field) ? [{ field: field as FlowField, value, negated: false }] : [],
  );
}

/** One term: a field, what is looked for, and whether it is what must not be. */
export interface FlowTerm {
  readonly field: FlowField;
  readonly value: string;
  readonly negated: boolean;
}

/** Flows carry no labels: who filters by them says which pods have them. */
const noLabels: PodsOf = () => {
  throw new MeshError('USAGE', { reason: 'flows cannot be selected by labels here' });
};

/**
 * The test that all terms make together; without any, every flow passes. Throws USAGE for a value that its field cannot
 * be, and for labels without `podsOf`, which is asked for each flow.
 */
export function flowFilter(terms: readonly FlowTerm[], podsOf: PodsOf = noLabels): FlowTest {
  const wanted = new Map<FlowField, FlowTest[]>();
  const unwanted: FlowTest[] = [];
  for (const { field, value, negated } of terms) {
    const test = makers[field](value, podsOf);
    if (negated) unwanted.push(test);
    else wanted.set(field, [...(wanted.get(field) ?? []), test]);
  }
  const groups = [...wanted.values()];
  return (flow) => groups.every((group) => group.some((test) => test(flow))) && !unwanted.some((test) => test(flow));
}

type PeerTest = (value: string, podsOf: PodsOf) => (peer: PeerView, flow: FlowView) => boolean;

function either(make: PeerTest): Made {
  return (value, podsOf) => {
    const test = make(value, podsOf);
    return (flow) => test(flow.source, flow) || test(flow.destination, flow);
  };
}

function source(make: PeerTest): Made {
  return (value, podsOf) => {
    const test = make(value, podsOf);
    return (flow) => test(flow.source, flow);
  };
}

function destination(make: PeerTest): Made {
  return (value, podsOf) => {
    const test = make(value, podsOf);
    return (flow) => test(flow.destination, flow);
  };
}

function podTest(value: string): (peer: PeerView) => boolean {
  const [first = '', second] = value.split('/');
  if (second === undefined) return (peer) => peer.workload?.startsWith(first) === true;
  return (peer) => peer.namespace === first && peer.workload?.startsWith(second) === true;
}

function labelTest(value: string, podsOf: PodsOf): (peer: PeerView) => boolean {
  podsOf(value);
  return ({ namespace, workload }) => podsOf(value).has(`${namespace}/${workload}`);
}

function namespaceTest(value: string): (peer: PeerView, flow: FlowView) => boolean {
  return (peer, flow) => {
    if (peer.namespace !== null || peer !== flow.destination) return peer.namespace === value;
    return flow.destination.service?.split('.')[1] === value; // no endpoint was chosen
  };
}

function identityTest(value: string): (peer: PeerView) => boolean {
  if (value.startsWith('spiffe://')) return (peer) => peer.identity === value;
  const [namespace, account] = value.split('/');
  if (!namespace || !account) throw wrong('identity', value, 'is a SPIFFE id or NS/SERVICEACCOUNT');
  return (peer) => peer.identity?.endsWith(`/ns/${namespace}/sa/${account}`) === true;
}

function ipTest(value: string): (peer: PeerView) => boolean {
  const cidr = parseCidr(value);
  if (cidr === null) throw wrong('ip', value, 'is no address and no network');
  return (peer) => cidrContains(cidr, splitHostPort(peer.address)?.host ?? peer.address);
}

function portTest(value: string): FlowTest {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw wrong('port', value, 'is no port');
  return (flow) => splitHostPort(flow.destination.address)?.port === port;
}

/** `cart.shop`, `shop/cart`, `cart` or the whole host name. */
function serviceTest(value: string): FlowTest {
  const [namespace, name] = value.includes('/') ? value.split('/') : [undefined, undefined];
  const wanted = name === undefined ? value : `${name}.${namespace}`;
  return ({ destination: { service } }) => {
    if (service === null) return false;
    const host = service.slice(service.indexOf('/') + 1);
    return host === wanted || host.startsWith(`${wanted}.`);
  };
}

function verdictTest(value: string): FlowTest {
  const known = value === 'dropped' ? 'refused' : value;
  if (!(flowVerdicts as readonly string[]).includes(known)) {
    throw wrong('verdict', value, `is none of ${flowVerdicts.join(', ')}`);
  }
  return (flow) => verdictOf(flow) === known;
}

function policyTest(value: string): FlowTest {
  return ({ decidedBy }) => decidedBy !== null && (decidedBy === value || decidedBy.endsWith(`/${value}`));
}

function protocolTest(value: string): FlowTest {
  if (value === 'tcp') return (flow) => flow.kind === 'connection';
  if (value === 'http') return (flow) => flow.kind === 'request';
  return oneOfTest(['http1', 'http2', 'grpc', 'tcp', 'http'], (flow) => requestOf(flow)?.protocol)(value);
}

function pathTest(value: string): FlowTest {
  if (!value.startsWith('~')) return (flow) => flow.path?.startsWith(value) === true;
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(value.slice(1));
  } catch (error) {
    throw wrong('path', value, `is no pattern: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
  return (flow) => flow.path !== null && pattern.matcher(flow.path).find();
}

function statusTest(value: string): FlowTest {
  const match = /^(?<from>\d{3})(?:(?<up>\+)|-(?<to>\d{3}))?$|^(?<class>\d)(?:xx|\+)$/.exec(value)?.groups;
  if (match === undefined) throw wrong('status', value, 'reads like 404, 5xx, 500+ or 400-499');
  const { from, up, to, class: hundreds } = match;
  const low = hundreds === undefined ? Number(from) : Number(hundreds) * 100;
  const isOpen = up !== undefined || value.endsWith('+');
  const high = isOpen ? 999 : hundreds === undefined ? Number(to ?? from) : low + 99;
  return ({ status }) => status !== null && status >= low && status <= high;
}

function slowerTest(value: string): FlowTest {
  const match = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(value);
  if (match === null) throw wrong('slower-than', value, 'is no time such as 100ms or 2s');
  const limitMs = Number(match[1]) * (match[2] === 's' ? 1000 : 1);
  return (flow) => flow.durationMs > limitMs;
}

function exactTest(read: (flow: FlowView) => string | null | undefined): (value: string) => FlowTest {
  return (value) => (flow) => read(flow) === value;
}

function oneOfTest(
  values: readonly string[],
  read: (flow: FlowView) => string | null | undefined,
): (value: string) => FlowTest {
  return (value) => {
    if (!values.includes(value)) throw wrong('value', value, `is none of ${values.join(', ')}`);
    return (flow) => read(flow) === value;
  };
}

function requestOf(flow: FlowView): RequestRecord | null {
  return flow.kind === 'request' ? (flow as RequestRecord & FlowView) : null;
}

function wrong(what: string, value: string, reason: string): MeshError {
  return new MeshError('USAGE', { reason: `the ${what} '${value}' ${reason}` });
}
