// What an author says about retries beside the conditions: annotations of a route, and TrafficPolicy.
import type { Labels } from '../resources.ts';
import type { TrafficPolicyResource } from '../route-resources.ts';

export const nonIdempotentAnnotation = 'ambient.mesh/retry-non-idempotent';
export const evenIfRetriedAnnotation = 'ambient.mesh/retry-even-if-retried';

export interface RetryOptions {
  readonly nonIdempotent: boolean;
  readonly evenIfRetried: boolean;
}

/** The annotation counts before a policy. */
export function retryOptions(annotations: Labels, traffic: TrafficPolicyResource | null): RetryOptions {
  const said = (key: string): boolean | null => (annotations[key] === undefined ? null : annotations[key] === 'true');
  return {
    nonIdempotent: said(nonIdempotentAnnotation) ?? traffic?.retryNonIdempotent ?? false,
    evenIfRetried: said(evenIfRetriedAnnotation) ?? traffic?.retryEvenIfRetried ?? false,
  };
}

/** Methods whose requests may be sent twice (RFC 9110 §9.2.2). */
export const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);

/** True when requests of a match can be of a method that is not idempotent; null matches every method. */
export function mayRepeatPost(methods: readonly string[] | null): boolean {
  return methods === null || methods.some((method) => !idempotentMethods.has(method));
}

/**
 * Words of `retryOn` (l7.md §4.1); `connection-lost` is ours: `reset` without protocol errors and time-outs of a try.
 */
export const retryConditions: readonly string[] = [
  ...['5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure', 'refused-stream', 'connection-lost'],
  ...['envoy-ratelimited', 'retriable-4xx', 'retriable-status-codes'],
  ...['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'],
];
