// The last step: which backend, what the request becomes on its way there, who gets a copy, and off it goes.
import { MeshError } from '../../base/errors.ts';
import type {
  BackendFilters,
  CorsPolicy,
  HeaderEdits,
  Mirror as MirrorRule,
  Redirect,
  Rewrite,
  RouteRule,
  WeightedBackend,
} from '../../model/route-types.ts';
import type { AppProtocol, Service } from '../../model/types.ts';
import type { Destination } from '../balance/destination.ts';
import { hashOfRequest, newStickyCookie, noHash } from '../balance/request-hash.ts';
import { GrpcStatus } from '../grpc.ts';
import type { HttpProtocol, RequestHead } from '../message.ts';
import { attemptOf } from '../resilience/retry-rules.ts';
import { drawBackend } from './backend-draw.ts';
import { judgeCors } from './cors.ts';
import type { Exchange } from './exchange.ts';
import { ForwardChanges } from './forward-headers.ts';
import { authorityOf, chainEdits, withoutReserved } from './header-edits.ts';
import { Mirror } from './mirror.ts';
import { allowsOrigin, replaceByRegex } from './patterns.ts';
import { locationOf, replacePrefix, splitTarget } from './rewrite.ts';
import type { StepOutcome } from './steps.ts';

/** Draws a backend and sends the request to it, or answers when there is none. */
export function forward(exchange: Exchange): StepOutcome {
  const { rule, engine, head, responseChanges } = exchange;
  const backends = rule!.action.kind === 'forward' ? rule!.action.backends : [];
  const backend = drawBackend(backends, engine.random());
  if (backend === null || backend.invalid !== null) {
    refuseBackend(exchange, backend?.invalid?.status ?? 500, backend?.invalid?.reason ?? 'no weight is above zero');
    return 'stop';
  }
  const nowMs = engine.nowMs();
  const destination = engine.destinationOf(backend, nowMs);
  if (destination === null) {
    refuseBackend(
      exchange,
      503,
      backend.subset === '' ? `no service ${backend.service}` : `no subset ${backend.subset}`,
    );
    return 'stop';
  }
  const edits = editsOf(rule!, backend);
  const own = backend.filters;
  if (own !== undefined && answerByFilters(exchange, own, edits.response) === 'stop') return 'stop';
  responseChanges.edit(edits.response);
  exchange.destination = destination;
  exchange.uncounted = destination.isUncounted(head);
  exchange.upstreamProtocol = upstreamProtocol(head, destination);
  exchange.hash = hashFor(exchange, destination);
  exchange.changes = changesFor(exchange, edits, own?.rewrite ?? null);
  if (rule!.mirrors.length > 0) beginMirrors(exchange, rule!.mirrors);
  if (own !== undefined) beginMirrors(exchange, own.mirrors);
  exchange.send(nowMs);
  return 'stop';
}

/** What the filters of a backend answer in its stead. */
function answerByFilters(exchange: Exchange, filters: BackendFilters, edits: HeaderEdits): StepOutcome {
  if (filters.cors !== null && obeyCors(exchange, filters.cors) === 'stop') return 'stop';
  if (filters.redirect === null) return 'next';
  answerRedirect(exchange, filters.redirect, edits);
  return 'stop';
}

/** Answers a preflight, or notes what the answer to another request is to say. */
export function obeyCors(exchange: Exchange, policy: CorsPolicy): StepOutcome {
  const outcome = judgeCors(policy, exchange.head.method, exchange.head.headers, allowsOrigin);
  if (outcome.kind === 'headers') exchange.responseChanges.set(outcome.headers);
  if (outcome.kind !== 'answer') return 'next';
  exchange.answer(200, outcome.headers, '', '-', null);
  return 'stop';
}

/** Answers with a redirect; `edits` are those of its head. */
export function answerRedirect(exchange: Exchange, redirect: Redirect, edits: HeaderEdits): void {
  const { head, target, client, responseChanges } = exchange;
  const request = { scheme: head.scheme, authority: head.authority, target, port: client.servicePort };
  const location = locationOf(redirect, request, exchange.matchedPath);
  const headers = [['location', location] as const, ...edits.set, ...edits.add, ...responseChanges.pairs()];
  exchange.answer(redirect.status, headers, '', '-', null);
}

/** Answers that there is no backend to use. */
export function refuseBackend(exchange: Exchange, status: number, reason: string): void {
  // Callers of gRPC are to take it for a service that is not there (l7.md §1.4.10).
  const headers: [string, string][] = exchange.head.grpc ? [['grpc-status', String(GrpcStatus.Unavailable)]] : [];
  exchange.answer(status, headers, '', 'BACKEND_INVALID', new MeshError('BACKEND_INVALID', { reason }));
}

interface Edits {
  readonly request: HeaderEdits;
  /** What they set the authority to; null when they leave it. */
  readonly authority: string | null;
  readonly response: HeaderEdits;
}

const nothing: readonly never[] = [];

/** A backend object belongs to one rule. */
const editsByBackend = new WeakMap<WeightedBackend, Edits>();

function editsOf(rule: RouteRule, backend: WeightedBackend): Edits {
  const known = editsByBackend.get(backend);
  if (known !== undefined) return known;
  const request = chainEdits(rule.requestHeaders, backend.requestHeaders);
  const made = {
    request: withoutReserved(request),
    authority: authorityOf(request),
    response: withoutReserved(chainEdits(rule.responseHeaders, backend.responseHeaders)),
  };
  editsByBackend.set(backend, made);
  return made;
}

/** What is spoken to the destination: what its port says, else what the client speaks; upgrades else HTTP/1.1. */
function upstreamProtocol(head: RequestHead, destination: Destination): HttpProtocol {
  const said = appProtocolOf(destination.service, destination.port);
  if (head.upgrade !== null) return said === 'http2' || said === 'grpc' ? 'http2' : 'http1';
  if (said === 'http2' || said === 'grpc' || head.grpc) return 'http2';
  if (destination.policy.connectionPool.upgradeToHttp2) return 'http2';
  return said === 'http1' ? 'http1' : head.protocol;
}

function appProtocolOf(service: Service, port: number): AppProtocol {
  for (const one of service.ports) if (one.servicePort === port) return one.appProtocol;
  return 'unknown';
}

function hashFor(exchange: Exchange, destination: Destination): number {
  const { hash } = destination.policy.loadBalancing;
  if (hash === null) return noHash;
  const found = hashOfRequest(hash, exchange.head, exchange.client.address);
  if (found !== noHash) return found;
  const cookie = newStickyCookie(hash, exchange.engine.random);
  if (cookie === null) return noHash;
  exchange.responseChanges.add('set-cookie', cookie.setCookie);
  return cookie.hash;
}

function changesFor(exchange: Exchange, edits: Edits, own: Rewrite | null): ForwardChanges {
  const { head, client, engine, verdict } = exchange;
  const rewrite = exchange.rule!.rewrite;
  const target = targetFor(exchange, own?.path ?? rewrite?.path ?? null);
  const set = target === exchange.target ? nothing : [['x-envoy-original-path', exchange.target] as const];
  const plan = {
    edits: edits.request,
    target: target === head.target ? null : target,
    authority: own?.authority ?? rewrite?.authority ?? edits.authority,
    remove: verdict === null ? exchange.consumed : [...verdict.removeHeaders, ...exchange.consumed],
    set: verdict === null ? set : [...verdict.setHeaders, ...set],
    clientCert: engine.limits.forwardClientCert && client.identity !== null ? `URI=${client.identity}` : null,
  };
  return new ForwardChanges(head, plan, attemptOf(head), exchange.trace);
}

function targetFor(exchange: Exchange, rewrite: Rewrite['path']): string {
  const target = exchange.verdict?.target ?? exchange.target;
  if (rewrite === null) return target;
  const [path, query] = splitTarget(target);
  switch (rewrite.kind) {
    case 'full':
      return rewrite.value + query;
    case 'prefix':
      return replacePrefix(path, exchange.matchedPath, rewrite.value) + query;
    case 'regex':
      return replaceByRegex(rewrite, path) + query;
  }
}

function beginMirrors(exchange: Exchange, rules: readonly MirrorRule[]): void {
  const { engine, head, changes } = exchange;
  for (const rule of rules) {
    if (rule.backend.invalid !== null || head.upgrade !== null) continue;
    if (rule.fraction < 1 && engine.random() >= rule.fraction) continue;
    const destination = engine.destinationOf(rule.backend, engine.nowMs());
    const endpoint = destination?.pick(noHash, null, engine.nowMs()) ?? null;
    if (destination === null || endpoint === null || !engine.admitMirror()) continue;
    const protocol = upstreamProtocol(head, destination);
    const authority = changes!.authority ?? head.authority;
    const shadowed = rule.shadowSuffix
      ? { ...changes!.numbered(1), authority: shadow(authority) }
      : changes!.numbered(1);
    const composed = engine.compose(protocol, head, { ...shadowed, method: null });
    const mirror = new Mirror(engine, destination, engine.poolOf(destination, endpoint, protocol), composed);
    exchange.mirrors ??= [];
    exchange.mirrors.push(mirror);
    mirror.begin();
  }
}

/** `HOST:PORT` becomes `HOST-shadow:PORT`. */
function shadow(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || authority.endsWith(']')) return `${authority}-shadow`;
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}
