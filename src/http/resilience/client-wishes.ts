// What a client may ask for by headers of the request, under Envoy's names (l7.md §4.3): retries and time-outs other
// than its route's. They are for the first proxy that sees them. What may not be sent twice is not sent twice for that.
import type { RouteRule } from '../../model/route-types.ts';
import { retryConditions } from '../../model/routes/retry-options.ts';
import type { Headers, RequestHead } from '../message.ts';

const prefix = 'x-envoy-';
/** The headers, which go no further. */
export const wishHeaders = [
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
] as const;
/** More than a client may ask for. */
export const wishedRetriesMax = 10;

/** The rule as the client would have it; null when it has no wishes, or none that can be understood. */
export function wishedRule(rule: RouteRule, { headers }: RequestHead): RouteRule | null {
  // Most requests have no such header, and pay for one look.
  if (!headers.hasPrefix(prefix) || !wishHeaders.some((name) => headers.has(name))) return null;
  const { retry, timeouts } = rule;
  const words = [...wordsOf(headers, 'x-envoy-retry-on'), ...wordsOf(headers, 'x-envoy-retry-grpc-on')];
  const retryOn = [...new Set([...retry.retryOn, ...words.filter((word) => retryConditions.includes(word))])];
  const codes = wordsOf(headers, 'x-envoy-retriable-status-codes').filter((code) => /^[1-5]\d\d$/.test(code));
  const statuses = retryOn.includes('retriable-status-codes')
    ? [...retry.statuses, ...codes.map(Number)]
    : retry.statuses;
  const attempts = Math.min(numberOf(headers, 'x-envoy-max-retries', retry.attempts), wishedRetriesMax);
  const perTryTimeoutMs = numberOf(headers, 'x-envoy-upstream-rq-per-try-timeout-ms', retry.perTryTimeoutMs);
  const perTryMs = numberOf(headers, 'x-envoy-upstream-rq-per-try-timeout-ms', timeouts.perTryMs);
  const requestMs = numberOf(headers, 'x-envoy-upstream-rq-timeout-ms', timeouts.requestMs);
  return {
    ...rule,
    retry: { ...retry, retryOn, statuses, attempts, perTryTimeoutMs },
    timeouts: { ...timeouts, perTryMs, requestMs },
  };
}

function wordsOf(headers: Headers, name: string): string[] {
  const text = headers.get(name);
  return text === null ? [] : text.split(',').map((word) => word.trim());
}

function numberOf(headers: Headers, name: string, otherwise: number): number {
  const text = headers.get(name);
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : otherwise;
}
