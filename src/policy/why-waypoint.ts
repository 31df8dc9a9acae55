// `why` for what happens at a waypoint: the request is judged with the waypoint's own code, and the endpoint then sees
// the waypoint as its source.
import { parseIp } from '../base/ip.ts';
import { protocolOfPod } from '../model/balance.ts';
import { type MeshIndex, serviceKey } from '../model/mesh-index.ts';
import type { JwtRule, ServiceRoutes } from '../model/route-types.ts';
import type { AppProtocol, Service, Workload } from '../model/types.ts';
import { type Decision, describe, evaluate, type PolicyReference } from './evaluate.ts';
import { type HttpFacts, remoteIpOf, type TokenFacts } from './match-request.ts';
import { policiesOfService } from './service-policies.ts';

/** The request that is asked about. */
export interface WhyRequest {
  readonly method: string;
  /** Normalised; a query is of no account. */
  readonly path: string;
  /** Names in lower case; `host` is the authority. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Of a token whose signature is taken for good; null without one. */
  readonly claims: Readonly<Record<string, unknown>> | null;
}

/** What the waypoint of a service says about a request to it. */
export interface WaypointAnswer {
  /** `NAMESPACE/NAME` of its Gateway. */
  readonly name: string;
  /** Whom the endpoint sees. */
  readonly workload: Workload;
  readonly allowed: boolean;
  /** What a refused client gets. */
  readonly status: number;
  readonly decidedBy: PolicyReference | null;
  readonly reasons: readonly string[];
}

/** Asked about where nobody says anything else. */
export const assumedRequest: WhyRequest = { method: 'GET', path: '/', headers: [], claims: null };
const noIp = { family: 4, value: 0 } as const;

/** The waypoint that a source goes through on its way to a service, or to a pod; null when it goes without. */
export function waypointBetween(
  index: MeshIndex,
  from: Workload | null,
  to: Pick<Service, 'waypoint'> | null,
): Workload | null {
  const waypoint = to?.waypoint?.hostname;
  if (waypoint === undefined || from?.tunnelProtocol !== 'HBONE') return null;
  const { namespace, hostname } = waypoint;
  const name = hostname.split('.')[0] ?? '';
  const found = index.endpointsOf(serviceKey(waypoint))[0]?.workload;
  if (from.namespace === namespace && from.serviceAccount === (found?.serviceAccount ?? name)) return null;
  // Its node does not matter: it speaks to other proxies by itself.
  const base = { ...from, uid: '', name, namespace, serviceAccount: name, workloadName: name, addresses: [] };
  return { ...(found ?? base), name, node: '', tunnelProtocol: 'HBONE' };
}

/** What was dialled, a service or a pod by its own address, as its waypoint judges calls to it. */
interface JudgedTarget {
  readonly address: string;
  /** Of a request that does not say. */
  readonly authority: string;
  readonly port: number;
  readonly protocol: AppProtocol;
}

/** A service as it was dialled; of one without an address, what no network holds. */
export function targetOfService(service: Service, port: number): JudgedTarget {
  const [address = '0.0.0.0'] = service.addresses;
  const protocol = service.ports.find((one) => one.servicePort === port)?.appProtocol ?? 'unknown';
  return { address, authority: service.hostname, port, protocol };
}

/** A pod by its first address. */
export function targetOfPod(pod: Workload, port: number): JudgedTarget {
  const [address = '0.0.0.0'] = pod.addresses;
  return { address, authority: address, port, protocol: protocolOfPod(pod, port) };
}

/** Judges a request at a waypoint. `request` null: a plain `GET /` is assumed. */
export function judgeAtWaypoint(
  waypoint: Workload,
  from: Workload,
  identity: string,
  target: JudgedTarget,
  routes: ServiceRoutes | null,
  request: WhyRequest | null,
): WaypointAnswer {
  const name = `${waypoint.namespace}/${waypoint.name}`;
  const base = { name, workload: waypoint };
  const effective = policiesOfService(routes);
  const { protocol } = target;
  const isHttp = protocol !== 'tcp' && protocol !== 'tls';
  const asked = request ?? assumedRequest;
  const token = tokenOf(asked, routes?.jwtRules ?? []);
  if (isHttp && 'refused' in token) {
    const { rule, refused, status } = token;
    return { ...base, allowed: false, status, decidedBy: rule, reasons: [`${refused}, says ${describe(rule)}`] };
  }
  const facts = isHttp && !('refused' in token) ? factsOf(asked, target.authority, from, token.facts) : null;
  const connection = {
    sourceIdentity: identity,
    sourceIp: from.addresses[0] ?? '0.0.0.0',
    destinationIp: target.address,
    destinationPort: target.port,
  };
  const decision = evaluate(effective, connection, facts);
  const hints: string[] = [];
  if (!isHttp) hints.push(`port ${target.port} is no HTTP: conditions on requests are resolved to the closed side`);
  else if (request === null && effective.policies.length > 0) {
    hints.push('judged as GET /; say --method, --path, --header and --claims for another request');
  }
  if ('ignored' in token) hints.push(token.ignored);
  const reasons = [...reasonsOf(decision, name), ...hints];
  return { ...base, allowed: decision.allowed, status: 403, decidedBy: decision.decidedBy, reasons };
}

function reasonsOf(decision: Decision, name: string): string[] {
  const isByDefault = decision.allowed && decision.decidedBy === null;
  return [
    isByDefault ? `no policy of the waypoint ${name} forbids it` : `at the waypoint ${name}: ${decision.reason}`,
    ...decision.dryRun.map((hit) => `dry run: ${describe(hit)} would ${hit.action} it`),
    ...decision.audits.map((hit) => `audited by ${describe(hit)}`),
  ];
}

type TokenAnswer =
  | { readonly facts: TokenFacts | null }
  | { readonly facts: null; readonly ignored: string }
  | { readonly refused: string; readonly status: number; readonly rule: PolicyReference };

/** Who the token says it is, as the verifier would see it with a good signature. */
function tokenOf({ claims }: WhyRequest, rules: readonly JwtRule[]): TokenAnswer {
  if (claims === null) return { facts: null };
  if (rules.length === 0) {
    return { facts: null, ignored: 'no RequestAuthentication is for the service: the token is not looked at' };
  }
  const { iss, sub, aud, azp } = claims;
  const audiences = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string');
  const ofIssuer = rules.filter((rule) => rule.issuers.includes(String(iss)));
  if (ofIssuer.length === 0)
    return { refused: 'Jwt issuer is not configured (401)', status: 401, rule: referenceTo(rules[0]!) };
  const isFor = (rule: JwtRule): boolean =>
    rule.audiences.length === 0 || audiences.some((one) => rule.audiences.includes(one));
  const rule = ofIssuer.find(isFor);
  if (rule === undefined) {
    return { refused: 'Audiences in Jwt are not allowed (403)', status: 403, rule: referenceTo(ofIssuer[0]!) };
  }
  const principal = typeof iss === 'string' && typeof sub === 'string' ? `${iss}/${sub}` : null;
  return { facts: { principal, audiences, presenter: typeof azp === 'string' ? azp : null, claims } };
}

function referenceTo({ policy }: JwtRule): PolicyReference {
  const [namespace = '', name = ''] = policy.split('/');
  return { kind: 'RequestAuthentication', namespace, name, rule: null };
}

function factsOf(request: WhyRequest, authority: string, from: Workload, token: TokenFacts | null): HttpFacts {
  const { method, path, headers } = request;
  const get = (name: string): string | null => {
    const values = headers.filter(([one]) => one === name).map(([, value]) => value);
    return values.length === 0 ? null : values.join(', ');
  };
  const [bare = '/'] = path.split('?');
  const sourceIp = parseIp(from.addresses[0] ?? '') ?? noIp;
  return {
    method,
    path: bare,
    authority: get('host') ?? authority,
    headers: { get },
    token,
    remoteIp: remoteIpOf({ get }, sourceIp),
  };
}
