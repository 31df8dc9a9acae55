// How the proxies on a path are doing, in words: who is down, out of step, without a certificate, or overloaded.
import type { LimitView, ProxyStateView, ProxyView, StatusView } from '../../model/views.ts';
import { ageText } from '../table.ts';
import type { WhyCause, WhyProxy } from './views.ts';

/** A proxy on the path, and what it said. */
export interface AskedProxy {
  readonly kind: 'node' | 'waypoint';
  /** The node, or `NAMESPACE/NAME` of the Gateway. */
  readonly name: string;
  /** `NAMESPACE/NAME`; null where nobody knows its pod. */
  readonly pod: string | null;
  readonly state: ProxyStateView | null;
  /** Why it does not answer; null where it does, though perhaps without a state. */
  readonly problem: string | null;
  /** Identities that it needs for this path; null for all that it has. */
  readonly identities: readonly string[] | null;
}

/** Events that wait so long are what the alert of an overloaded proxy fires for; and so long, what others feel. */
const lateMs = 50;
const veryLateMs = 200;
const fullShare = 0.9;
/** Certificates are renewed long before that: what has so little left is not being renewed. */
const certificateLeftMin = 0.25;

/** What is to be said of a proxy; `status` null where the controller does not answer. */
export function proxyOnPath(asked: AskedProxy, status: StatusView | null, nowMs: number): WhyProxy {
  const { kind, name, pod, state } = asked;
  const rows = status?.proxies.filter((one) => isRowOf(one, asked)) ?? [];
  // One may have replaced another.
  const row = rows.find((one) => one.connected !== false) ?? rows[0] ?? null;
  const title = kind === 'node' ? `the node proxy of ${name}` : `waypoint ${name}`;
  const problems = asked.problem === null ? [] : silent(asked, row, title, nowMs);
  if (state !== null)
    problems.push(...stepProblems(state, row, title, nowMs), ...ownProblems(state, asked, title, nowMs));
  return {
    kind,
    name,
    pod,
    connected: row === null ? (state?.discovery.connected ?? null) : (row.connected ?? true),
    inStep: row?.inStep ?? null,
    behindSince: row?.behindSince ?? null,
    loopDelayMs: state === null ? null : worstDelay(state),
    problems,
  };
}

function isRowOf(row: ProxyView, { kind, name, pod }: AskedProxy): boolean {
  if (row.kind !== kind) return false;
  return kind === 'node' ? row.node === name : pod !== null && row.name === pod.slice(pod.indexOf('/') + 1);
}

/** It does not answer: down, stopped, or cut off. */
function silent({ problem }: AskedProxy, row: ProxyView | null, title: string, nowMs: number): WhyCause[] {
  const since =
    row?.connected === false ? `, and the controller has not heard of it for ${ageText(row.behindSince, nowMs)}` : '';
  const isGone = row === null || row.connected === false;
  const text = isGone
    ? `${title} is down: it does not answer${since}`
    : `${title} does not answer: it is stopped, or has far too much to do`;
  const fix = `what it carries waits or fails; see its log and its pod (${problem ?? 'no answer'})`;
  return [{ severity: 'error', text, fix }];
}

/** Whether it has what the controller serves. */
function stepProblems({ discovery }: ProxyStateView, row: ProxyView | null, title: string, nowMs: number): WhyCause[] {
  const problems: WhyCause[] = [];
  if (!discovery.connected) {
    const why = discovery.lastError === null ? '' : `: ${discovery.lastError}`;
    const text = `${title} receives no configuration since ${ageText(discovery.since, nowMs)}${why}`;
    problems.push({
      severity: 'error',
      text,
      fix: 'it goes on with what it had; what changed since then does not hold there',
    });
  } else if (row !== null && !row.inStep) {
    const age = ageText(row.behindSince, nowMs);
    const text = `${title} is out of step for ${age}: it has not applied what the controller serves`;
    problems.push({
      severity: 'error',
      text,
      fix: 'what changed since then does not hold there; see: ambientctl status',
    });
  }
  for (const { resource, reason } of row?.types.flatMap((type) => type.refused) ?? []) {
    problems.push({
      severity: 'error',
      text: `${title} has refused ${resource}: ${reason}`,
      fix: 'it keeps what it had before',
    });
  }
  return problems;
}

function ownProblems(state: ProxyStateView, asked: AskedProxy, title: string, nowMs: number): WhyCause[] {
  const { ready, pending, threads, limits, certificates, capture, configFile } = state;
  const problems: WhyCause[] = [];
  const add = (severity: WhyCause['severity'], text: string, fix: string | null = null): void => {
    problems.push({ severity, text: `${title} ${text}`, fix });
  };
  for (const { identity, state: held, reason, chain } of certificates) {
    if (asked.identities?.includes(identity) === false) continue;
    const leaf = chain.find(({ type }) => type === 'leaf');
    const end = leaf === undefined ? null : Date.parse(leaf.notAfter);
    const fix = 'see: ambientctl certs';
    if (held !== 'available')
      add('error', `has no certificate for ${identity}: ${reason ?? 'it is being asked for'}`, fix);
    else if (reason !== null) {
      const left = end === null ? '' : `; it ends in ${inText(end, nowMs)}`;
      add('error', `cannot renew the certificate of ${identity}: ${reason}${left}`, fix);
    } else if (leaf !== undefined && end !== null && isNearEnd(Date.parse(leaf.notBefore), end, nowMs)) {
      add('warning', `has not renewed the certificate of ${identity}, which ends in ${inText(end, nowMs)}`, fix);
    }
  }
  const delay = worstDelay(state);
  if (delay.p99 > lateMs) {
    const text = `is overloaded: events wait ${Math.round(delay.p99)} ms (p99), up to ${Math.round(delay.max)} ms`;
    add(delay.p99 > veryLateMs ? 'error' : 'warning', text, 'give it more CPU, or less to carry; see: ambientctl top');
  }
  for (const limit of limits.filter(isFull)) {
    add('error', `is at its limit ${limit.limit}: ${limit.use} of ${limit.value}`, 'what comes beyond it is refused');
  }
  const dead = threads.filter((thread) => thread.state === 'dead').length;
  if (dead > 0) add('error', `has ${dead} of ${threads.length} data threads down; they are being replaced`);
  if (capture?.state === 'failed')
    add('error', `cannot capture traffic: ${capture.reason ?? 'unknown'}`, 'see: ambientctl check');
  if (!ready && pending.length > 0) add('warning', `is not ready: ${pending.join('; ')}`);
  if (configFile?.error != null) add('warning', `does not use its configuration as it stands: ${configFile.error}`);
  return problems;
}

function isFull({ value, use }: LimitView): boolean {
  return use !== null && value > 0 && use >= value * fullShare;
}

function isNearEnd(startMs: number, endMs: number, nowMs: number): boolean {
  return endMs - nowMs < (endMs - startMs) * certificateLeftMin;
}

function worstDelay({ threads }: ProxyStateView): { p50: number; p99: number; max: number } {
  const worst = (of: 'p50' | 'p99' | 'max') => Math.max(0, ...threads.map(({ loopDelayMs }) => loopDelayMs[of]));
  return { p50: worst('p50'), p99: worst('p99'), max: worst('max') };
}

function inText(endMs: number, nowMs: number): string {
  return ageText(new Date(2 * nowMs - endMs).toISOString(), nowMs);
}
