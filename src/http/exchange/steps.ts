// The steps of a request, in order, each a function of one shape: it looks at the exchange, changes it, and says
// whether to go on. A step that waits calls `exchange.proceed()` when it is done.
//
//   canonical path → authenticate, authorize → match, the client's wishes → fault → CORS → rate limit
//   → redirect, direct → forward
//
// The order of policy, fault and CORS is Istio's (l7.md §5.2): policy sees the path as it came (normalised), and a
// preflight is subject to policy.
import { MeshError } from '../../base/errors.ts';
import { wishedRule, wishHeaders } from '../resilience/client-wishes.ts';
import { abortBody, drawAbort, drawDelayMs } from '../resilience/faults.ts';
import { rateLimitHeaders } from '../resilience/rate-limits.ts';
import type { Exchange } from './exchange.ts';
import { answerRedirect, forward, obeyCors, refuseBackend } from './forward-step.ts';
import { normalizeTarget } from './path-normalization.ts';

export type StepOutcome = 'next' | 'stop';
export type Step = (exchange: Exchange) => StepOutcome;

export const steps: readonly Step[] = [
  canonicalPath,
  judge,
  match,
  heedWishes,
  delayFault,
  abortFault,
  cors,
  rateLimit,
  answerHere,
  forward,
];

function canonicalPath(exchange: Exchange): StepOutcome {
  const { head, engine } = exchange;
  const target = normalizeTarget(head.target, engine.limits.pathNormalization);
  if (target === null) {
    const error = new MeshError('REQUEST_INVALID', { reason: 'NUL in the path' });
    exchange.answer(400, [], 'bad request', 'REQUEST_INVALID', error);
    return 'stop';
  }
  exchange.target = target;
  return 'next';
}

function judge(exchange: Exchange): StepOutcome {
  const { engine, client, head, target } = exchange;
  if (engine.judge === null) return 'next';
  const verdict = engine.judge.judge(client, head, target, (later) => {
    if (exchange.over) return;
    exchange.verdict = later;
    if (obey(exchange) === 'next') exchange.proceed();
  });
  exchange.verdict = verdict;
  if (verdict !== null) return obey(exchange);
  exchange.wait();
  return 'stop';
}

function obey(exchange: Exchange): StepOutcome {
  const verdict = exchange.verdict!;
  exchange.decidedBy = verdict.decidedBy;
  if (verdict.allowed) return 'next';
  const headers: [string, string][] = [['content-type', 'text/plain']];
  if (verdict.challenge !== '') headers.push(['www-authenticate', verdict.challenge]);
  const { status, body } = verdict;
  const policy = verdict.decidedBy ?? '';
  const isRefusedToken = status === 401;
  const error = isRefusedToken
    ? new MeshError('UNAUTHENTICATED', { reason: body })
    : new MeshError('POLICY_DENIED', { policy });
  exchange.answer(status, headers, body, isRefusedToken ? 'UNAUTHENTICATED' : 'DENY', error);
  return 'stop';
}

function match(exchange: Exchange): StepOutcome {
  const { engine, client, head, target, verdict } = exchange;
  const table = engine.routesOf(client);
  exchange.responseChanges.timed = table.routes.serverTiming;
  const found = table.match(client.servicePort, head, target, client, verdict?.claims ?? null);
  if (found === null) {
    const error = new MeshError('NO_ROUTE', { service: client.service.hostname, port: client.servicePort });
    exchange.answer(404, [], '', 'NO_ROUTE', error);
    return 'stop';
  }
  exchange.rule = found.rule;
  exchange.matchedPath = found.path;
  return 'next';
}

function heedWishes(exchange: Exchange): StepOutcome {
  if (exchange.rule!.action.kind !== 'forward') return 'next';
  const wished = wishedRule(exchange.rule!, exchange.head);
  if (wished === null) return 'next';
  exchange.rule = wished;
  exchange.consumed = wishHeaders;
  return 'next';
}

function delayFault(exchange: Exchange): StepOutcome {
  const { fault } = exchange.rule!;
  const delayMs = fault === null ? 0 : drawDelayMs(fault, exchange.engine.random);
  if (delayMs <= 0) return 'next';
  exchange.wait(delayMs);
  return 'stop';
}

function abortFault(exchange: Exchange): StepOutcome {
  const { fault } = exchange.rule!;
  const abort = fault === null ? null : drawAbort(fault, exchange.engine.random);
  if (abort === null) return 'next';
  const { status, grpcStatus } = abort;
  const headers: [string, string][] = [];
  if (grpcStatus !== null) headers.push(['grpc-status', String(grpcStatus)]);
  exchange.answer(status, headers, abortBody, 'FAULT_INJECTED', new MeshError('FAULT_INJECTED', { status }));
  return 'stop';
}

function cors(exchange: Exchange): StepOutcome {
  const policy = exchange.rule!.cors;
  return policy === null ? 'next' : obeyCors(exchange, policy);
}

function rateLimit(exchange: Exchange): StepOutcome {
  const { rateLimits } = exchange.rule!;
  if (rateLimits.length === 0) return 'next';
  const { engine, client, head } = exchange;
  const refusal = engine.rateLimiter.check(rateLimits, client.identity, head, engine.nowMs());
  if (refusal === null) return 'next';
  exchange.decidedBy = refusal.limit.policy;
  const error = new MeshError('RATE_LIMITED', { policy: refusal.limit.policy });
  exchange.answer(429, rateLimitHeaders(refusal), 'local_rate_limited', 'RATE_LIMITED', error);
  return 'stop';
}

/** Redirects, direct responses, and rules that have nothing usable. */
function answerHere(exchange: Exchange): StepOutcome {
  const { action } = exchange.rule!;
  if (action.kind === 'forward') return 'next';
  if (action.kind === 'invalid') {
    refuseBackend(exchange, action.status, action.reason);
    return 'stop';
  }
  const changes = exchange.rule!.responseHeaders;
  if (action.kind === 'direct') {
    const extra = [...changes.set, ...changes.add, ...exchange.responseChanges.pairs()];
    const headers: [string, string][] = action.body === '' ? [] : [['content-type', action.contentType]];
    exchange.answer(action.status, [...headers, ...extra], action.body, '-', null);
    return 'stop';
  }
  answerRedirect(exchange, action.redirect, changes);
  return 'stop';
}
