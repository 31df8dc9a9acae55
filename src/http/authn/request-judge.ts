// Asks, for each request at a waypoint, who it comes from by its token and whether policy lets it in (RequestJudge of
// the exchange): tokens first, then AuthorizationPolicy. Decides at once unless a token has to be verified.
import { isDeepStrictEqual } from 'node:util';
import { type IpValue, parseIp } from '../../base/ip.ts';
import { serviceKey } from '../../model/mesh-index.ts';
import type { JwtRule, ServiceRoutes } from '../../model/route-types.ts';
import type { NamespacedKey } from '../../model/types.ts';
import { type Decision, evaluateFacts, factsOf, hitsOf } from '../../policy/evaluate.ts';
import { type HttpFacts, remoteIpOf, type TokenFacts } from '../../policy/match-request.ts';
import type { Facts } from '../../policy/matcher.ts';
import { policiesOfService } from '../../policy/service-policies.ts';
import type { ClientInfo, RequestJudge, Verdict } from '../exchange/context.ts';
import type { RequestHead } from '../message.ts';
import { type FoundToken, findTokens, withoutCookie, withoutParam } from './token-places.ts';
import {
  claimHeader,
  type TokenOutcome,
  type TokenRefusal,
  type TokenVerifier,
  type VerifiedToken,
} from './token-verifier.ts';

export interface PolicyJudgeOptions {
  /** As in the exchange: the same object until it changes; null for a service without routes and policies. */
  readonly routesOf: (service: NamespacedKey) => ServiceRoutes | null;
  readonly verifier: TokenVerifier;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const allowed: Verdict = Object.freeze({
  allowed: true,
  status: 200,
  body: '',
  challenge: '',
  decidedBy: null,
  claims: null,
  removeHeaders: [],
  setHeaders: [],
  target: null,
});
/** Envoy's words. */
const deniedBody = 'RBAC: access denied';

interface KnownClient {
  readonly service: NamespacedKey;
  /** Null: an address cannot be read, and nothing is let in where a policy is. */
  readonly facts: Facts | null;
  readonly sourceIp: IpValue;
  /** What its last request was judged by; undefined before the first. */
  basis: ServiceRoutes | null | undefined;
}

const noIp: IpValue = { family: 4, value: 0 };

/** Judges the requests of a thread. */
export class PolicyJudge implements RequestJudge {
  readonly #options: PolicyJudgeOptions;
  readonly #clients = new WeakMap<ClientInfo, KnownClient>();
  readonly #verdicts = new WeakMap<Decision, Verdict>();

  constructor(options: PolicyJudgeOptions) {
    this.#options = options;
  }

  judge(client: ClientInfo, head: RequestHead, target: string, later: (verdict: Verdict) => void): Verdict | null {
    const known = this.#knownOf(client);
    const routes = this.#options.routesOf(known.service);
    known.basis = routes;
    const rules = routes?.jwtRules;
    if (rules === undefined || rules.length === 0) {
      if (routes?.policies === undefined) return allowed;
      return this.#authorize(known, routes, head, target, null);
    }
    const cleaned = cleanedHeaders(rules, head);
    const found = isPreflight(head) ? [] : findTokens(rules, head, target);
    if (found.length === 0) {
      const verdict = this.#authorize(known, routes, head, target, null);
      return cleaned.length === 0 ? verdict : { ...verdict, removeHeaders: cleaned };
    }
    const finish = (outcome: TokenOutcome): Verdict => {
      if (!('facts' in outcome)) return refusedToken(outcome, head, target);
      const verdict = this.#authorize(known, routes, head, target, outcome.facts);
      return verdict.allowed ? withToken(verdict, outcome, found, cleaned, head, target) : verdict;
    };
    const outcome = this.#options.verifier.verify(found, this.#options.now());
    if (!(outcome instanceof Promise)) return finish(outcome);
    outcome.then((one) => {
      // What has changed meanwhile counts.
      const isCurrent = this.#options.routesOf(known.service) === routes;
      const verdict = isCurrent ? finish(one) : this.judge(client, head, target, later);
      if (verdict !== null) later(verdict);
    });
    return null;
  }

  isStale(client: ClientInfo): boolean {
    const { basis, service } = this.#knownOf(client);
    return basis !== this.#options.routesOf(service);
  }

  rejudge(
    client: ClientInfo,
    head: RequestHead,
    target: string,
    { proof }: Verdict,
    later: (verdict: Verdict) => void,
  ): Verdict | null {
    const known = this.#knownOf(client);
    const routes = this.#options.routesOf(known.service);
    const isProved = proof !== undefined && routes?.jwtRules?.some((rule) => isDeepStrictEqual(rule, proof.rule));
    if (isProved !== true) return this.judge(client, head, target, later);
    known.basis = routes;
    return this.#authorize(known, routes, head, target, proof!.facts);
  }

  #authorize(
    known: KnownClient,
    routes: ServiceRoutes | null,
    head: RequestHead,
    target: string,
    token: TokenFacts | null,
  ): Verdict {
    const effective = policiesOfService(routes);
    if (effective.policies.length === 0) return allowed;
    const { facts, sourceIp } = known;
    if (facts === null) return denied(null);
    facts.http = new RequestFacts(head, target, sourceIp, token);
    const decision = evaluateFacts(effective, facts);
    facts.http = null;
    return this.#verdictOf(decision);
  }

  #verdictOf(decision: Decision): Verdict {
    const known = this.#verdicts.get(decision);
    if (known !== undefined) return known;
    const by = decision.decidedBy;
    const decidedBy = by === null ? null : `${by.namespace}/${by.name}`;
    const hits = hitsOf(decision);
    const plain = decision.allowed ? { ...allowed, decidedBy } : denied(decidedBy);
    const verdict = hits.length === 0 ? plain : { ...plain, policyHits: hits };
    this.#verdicts.set(decision, verdict);
    return verdict;
  }

  #knownOf(client: ClientInfo): KnownClient {
    const there = this.#clients.get(client);
    if (there !== undefined) return there;
    const facts = factsOf({
      sourceIdentity: client.identity,
      sourceIp: client.address,
      destinationIp: client.destinationAddress,
      destinationPort: client.servicePort,
    });
    const service = serviceKey(client.service);
    const known: KnownClient = { service, facts, sourceIp: parseIp(client.address) ?? noIp, basis: undefined };
    this.#clients.set(client, known);
    return known;
  }
}

/** A request as policies see it; what few of them ask for is made when they do. */
class RequestFacts implements HttpFacts {
  readonly token: TokenFacts | null;
  readonly path: string;
  readonly #head: RequestHead;
  readonly #sourceIp: IpValue;

  constructor(head: RequestHead, target: string, sourceIp: IpValue, token: TokenFacts | null) {
    const question = target.indexOf('?');
    this.path = question < 0 ? target : target.slice(0, question);
    this.token = token;
    this.#head = head;
    this.#sourceIp = sourceIp;
  }

  get method(): string {
    return this.#head.method;
  }

  get authority(): string {
    return this.#head.authority;
  }

  get headers(): RequestHead['headers'] {
    return this.#head.headers;
  }

  get remoteIp(): IpValue {
    return remoteIpOf(this.#head.headers, this.#sourceIp);
  }
}

function denied(decidedBy: string | null): Verdict {
  return { ...allowed, allowed: false, status: 403, body: deniedBody, decidedBy };
}

function refusedToken({ status, message, rule }: TokenRefusal, head: RequestHead, target: string): Verdict {
  const [path = ''] = target.split('?');
  const realm = `${head.scheme}://${head.authority}${path}`.replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, '');
  const challenge = status === 401 ? `Bearer realm="${realm}", error="invalid_token"` : '';
  return { ...allowed, allowed: false, status, body: message, challenge, decidedBy: rule.policy };
}

/** CORS asks without a token (RFC 9110 has no credentials in it); policy still judges. */
function isPreflight({ method, headers }: RequestHead): boolean {
  return method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method');
}

/** Headers that only the waypoint may set: a client that writes them itself would pass for somebody. */
function cleanedHeaders(rules: readonly JwtRule[], head: RequestHead): readonly string[] {
  let names: string[] | null = null;
  const add = (name: string): void => {
    if (name === '' || !head.headers.has(name)) return;
    names ??= [];
    names.push(name);
  };
  for (const { outputPayloadToHeader, outputClaimToHeaders } of rules) {
    add(outputPayloadToHeader);
    for (const { header } of outputClaimToHeaders) add(header);
  }
  return names ?? allowed.removeHeaders;
}

/** What becomes of a request whose token is believed: the token taken out, its claims put in. */
function withToken(
  verdict: Verdict,
  verified: VerifiedToken,
  found: readonly FoundToken[],
  cleaned: readonly string[],
  head: RequestHead,
  target: string,
): Verdict {
  const { rule, token, claims } = verified;
  const removeHeaders = [...cleaned];
  const setHeaders: [string, string][] = [];
  let changed: string | null = null;
  for (const { token: other, place } of rule.forwardOriginalToken ? [] : found) {
    if (other !== token) continue;
    if (place.kind === 'header') removeHeaders.push(place.name);
    else if (place.kind === 'param') changed = withoutParam(changed ?? target, place.name);
    else {
      const rest = withoutCookie(head.headers.get('cookie') ?? '', place.name);
      removeHeaders.push('cookie');
      if (rest !== '') setHeaders.push(['cookie', rest]);
    }
  }
  if (rule.outputPayloadToHeader !== '') setHeaders.push([rule.outputPayloadToHeader, token.split('.')[1]!]);
  for (const { header, claim } of rule.outputClaimToHeaders) {
    const text = claimHeader(claims, claim);
    if (text !== null) setHeaders.push([header, text]);
  }
  const { claims: proved } = verified.facts;
  return { ...verdict, claims: proved, proof: verified, removeHeaders, setHeaders, target: changed };
}
