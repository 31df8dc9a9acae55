// Out of everything that is known about a path, what explains that it does not go as it should: the worst first.
import { authorsNameOf } from '../../model/converted-policies.ts';
import { durationText } from '../../model/flow-line.ts';
import type { RefusingView } from '../../model/views.ts';
import { describe } from '../../policy/evaluate.ts';
import type { WhyResult } from '../../policy/why.ts';
import { ageText } from '../table.ts';
import type { WhyCause, WhyEndpoint, WhyProxy, WhySeen } from './views.ts';

export interface CauseFacts {
  readonly endpoints: readonly WhyEndpoint[];
  readonly refusing: readonly RefusingView[];
  readonly seen: WhySeen | null;
  readonly proxies: readonly WhyProxy[];
}

/** Half of the requests take so long, one in ten, or one in a hundred. */
const slowMedianMs = 100;
const slowTenthMs = 250;
const slowTailMs = 1_000;
const goodShare = 0.99;
/** Troubles that are older explain nothing that is going on. */
const recentMs = 120_000;

/** The causes; [] where all is well. */
export function causesOf(answer: WhyResult, facts: CauseFacts, nowMs: number): WhyCause[] {
  const found = [
    ...verdictCauses(answer),
    ...facts.proxies.flatMap(({ problems }) => problems),
    ...endpointCauses(facts.endpoints, nowMs),
    ...facts.refusing.map((one) => refusingCause(one, nowMs)),
    ...(facts.seen === null ? [] : seenCauses(answer, facts.seen, nowMs)),
  ];
  const unique = [...new Map(found.map((cause) => [cause.text, cause])).values()];
  return unique.sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

/** What the answer itself says, with what to do about it; without a mesh that runs too. */
export function verdictCauses(answer: WhyResult): WhyCause[] {
  const { verdict, decidedBy, response, reasons } = answer;
  if (verdict === 'deny' && decidedBy !== null) {
    const isPlain = decidedBy.kind === 'PeerAuthentication' && !answer.from.enrolled;
    const text = isPlain
      ? `the caller speaks plaintext, and ${describe(decidedBy)} asks for mutual TLS (STRICT)`
      : `${describe(decidedBy)} refuses it${answer.decidedAt == null ? '' : ` (${answer.decidedAt})`}`;
    return [{ severity: 'error', text, fix: isPlain ? plaintextFix(answer) : policyFix(answer) }];
  }
  const lost = reasons.filter((reason) => /^[\d.]+ % of the requests get [45]\d\d: /.test(reason));
  const routeFix = 'mend the route, or what it names; ambientctl analyze says where';
  if (verdict === 'allow') return lost.map((text) => ({ severity: 'error', text, fix: routeFix }));
  const text = reasons.find((reason) => /get [45]\d\d|answers [45]\d\d|has no|not there/.test(reason)) ?? reasons[0];
  const fix = response === null ? null : routeFix;
  return [{ severity: 'error', text: text ?? 'nothing is there', fix }];
}

function plaintextFix({ from, to }: WhyResult): string {
  const enrol = from.namespace === null ? 'bring it into the mesh' : `ambientctl enroll ns/${from.namespace}`;
  return `${enrol}, or let plaintext in: mode PERMISSIVE for port ${to.targetPort ?? to.port} in a PeerAuthentication`;
}

function policyFix({ decidedBy, from }: WhyResult): string | null {
  if (decidedBy?.kind !== 'AuthorizationPolicy') return null;
  const principal = from.identity?.replace(/^spiffe:\/\//, '');
  const who = principal === undefined ? 'this caller, which has no identity' : principal;
  return `if it is to be allowed, let that policy speak of ${who}`;
}

/** Endpoints that get nothing, or nothing new: grave where no other is ready. */
export function endpointCauses(endpoints: readonly WhyEndpoint[], nowMs: number): WhyCause[] {
  const ready = endpoints.filter(({ state }) => state === 'ready').length;
  return endpoints
    .filter(({ state }) => state !== 'ready')
    .map((one) => {
      const severity = ready === 0 ? 'error' : 'warning';
      return { severity, text: endpointWords(one, nowMs), fix: endpointFix(one) };
    });
}

/** `endpoint shop/cart-1 is ejected for 12s, back in 18s: 5 answers of 500 to 599 in a row`. */
export function endpointWords(one: WhyEndpoint, nowMs: number): string {
  const { namespace, workload, state, since, until, reason } = one;
  const age = since === null ? '' : ` for ${ageText(since, nowMs)}`;
  const back =
    until === null ? '' : `, back in ${ageText(new Date(2 * nowMs - Date.parse(until)).toISOString(), nowMs)}`;
  const why = reason === null ? '' : `: ${reason}`;
  return `endpoint ${namespace}/${workload} is ${state}${age}${back}${why}`;
}

function endpointFix({ state, namespace, workload }: WhyEndpoint): string | null {
  if (state === 'ejected')
    return `the others get its share, and it is tried again by itself; look into ${namespace}/${workload}`;
  return state === 'unready' ? `it gets nothing before it is ready; look into ${namespace}/${workload}` : null;
}

/** A service whose retries or limits are used up. */
export function refusingCause({ service, port, reason, refused, since }: RefusingView, nowMs: number): WhyCause {
  const text = `for ${service}:${port} ${reason}; ${refused} refused in ${ageText(since, nowMs)}`;
  return { severity: 'error', text, fix: `what fails is ${service} itself: mend that, and leave the limit as it is` };
}

function seenCauses(answer: WhyResult, seen: WhySeen, nowMs: number): WhyCause[] {
  const causes: WhyCause[] = [];
  const { success, lastError, lastRefusal, p50Ms, p99Ms, slowest } = seen;
  const isRecent = (time: string): boolean => nowMs - Date.parse(time) < recentMs;
  if (success !== null && success < goodShare) {
    const worst = [lastError, lastRefusal].filter((one) => one !== null && isRecent(one.time));
    const last = worst.toSorted((a, b) => (a!.time < b!.time ? 1 : -1))[0];
    const what = seen.requests > 0 ? 'requests' : 'connections';
    const by = last?.decidedBy == null ? '' : ` by ${authorsNameOf(last.decidedBy)}`;
    const isSaid = last?.text === `denied by ${last?.decidedBy}`;
    const flag = last == null || last.flag === '-' ? '' : `${last.flag}${by}${isSaid ? '' : ': '}`;
    const words = last == null ? '' : `; the last: ${flag}${isSaid ? '' : last.text}`;
    const share = `${Math.round((1 - success) * 1000) / 10} % of the ${what}`;
    const text = `${share} of the last ${ageWindow(seen)} failed${words}`;
    // A refusal that the answer is about already is no news.
    if (answer.verdict === 'allow' || last?.decidedBy == null) causes.push({ severity: 'error', text, fix: null });
  }
  const isSlow = (p50Ms ?? 0) >= slowMedianMs || (seen.p90Ms ?? 0) >= slowTenthMs || (p99Ms ?? 0) >= slowTailMs;
  if (isSlow && slowest !== null) {
    const text = `it is slow, and that is ${slowest}`;
    causes.push({ severity: 'warning', text, fix: slowFix(seen, answer) });
  } else if (isSlow) {
    const wire = [answer.from.node, answer.to.node].filter((node) => node !== null).join(' and ');
    const text = `connecting takes ${durationText(p50Ms ?? 0)}: the wire between ${wire}, or the pod that accepts`;
    causes.push({ severity: 'warning', text, fix: null });
  }
  return causes;
}

function slowFix({ segmentsMs }: WhySeen, { to }: WhyResult): string {
  const [worst] = Object.entries(segmentsMs).toSorted(([, a], [, b]) => b - a);
  switch (worst?.[0]) {
    case 'application':
      return `look into ${to.namespace}/${to.workload}: the mesh adds little`;
    case 'wire':
      return 'look into the network between these nodes: neither the proxies nor the application take long';
    default:
      return 'look into that proxy: CPU, its limits, what else it carries';
  }
}

function ageWindow({ windowMs }: WhySeen): string {
  return windowMs < 60_000 ? `${windowMs / 1000} s` : `${windowMs / 60_000} min`;
}
