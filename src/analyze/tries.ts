// What a rule asks for of retries that cannot be, or that does harm: tries that do not fit into the time of the
// request, and requests that are done twice because somebody said that they may.
import type { RouteRule } from '../model/route-types.ts';
import type { Analyzer } from './analyzer.ts';
import { timeText } from './call-chains.ts';
import { fieldOfRule, writtenRules } from './written-rules.ts';

/** Under these a request may have been done before it failed. */
const doneConditions = new Set(['5xx', 'gateway-error', 'reset', 'connection-lost', 'retriable-4xx']);

/** Looks at each rule of a route that is written. */
export const tries: Analyzer = (mesh, report) => {
  for (const { rule, resource } of writtenRules(mesh)) {
    const { retry, timeouts } = rule;
    if (rule.action.kind !== 'forward' || retry.attempts === 0) continue;
    const all = retry.attempts + 1;
    const wholeMs = all * timeouts.perTryMs;
    if (retry.from === 'route' && timeouts.perTryMs > 0 && timeouts.requestMs > 0 && wholeMs > timeouts.requestMs) {
      const fitting = Math.ceil(timeouts.requestMs / timeouts.perTryMs);
      const message =
        `${all} tries of ${timeText(timeouts.perTryMs)} take up to ${timeText(wholeMs)}, and the request ends after ` +
        `${timeText(timeouts.requestMs)}: slow ones get ${fitting} tries, the last cut short`;
      const fix = `a time-out of ${timeText(wholeMs)}, shorter tries, or ${Math.max(0, fitting - 1)} retries`;
      report(resource, 'AMB1021', fieldOfRule(rule.origin, 'retries', 'retry'), message, fix);
    }
    if (!retry.nonIdempotent || !isAfterwards(rule)) continue;
    const conditions = [...retry.retryOn.filter((word) => doneConditions.has(word)), ...retry.statuses].join(', ');
    const message = `repeats POST and PATCH after ${conditions}: what the server has done may be done ${all} times`;
    const fix = 'leave retry-non-idempotent out, or make sure that the application knows repeats (idempotency-key)';
    report(resource, 'AMB1027', fieldOfRule(rule.origin, 'retries', 'retry'), message, fix);
  }
};

/** Repeats where the server may have done something, and what may change something. */
function isAfterwards({ retry }: RouteRule): boolean {
  return (
    retry.from === 'route' && (retry.statuses.length > 0 || retry.retryOn.some((word) => doneConditions.has(word)))
  );
}
