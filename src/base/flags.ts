// The closed table of reasons for which a connection ended other than well. One flag per access-log line and per
// metric series.
export const flagTable = {
  '-': 'ended as both sides wished',
  DENY: 'refused by policy',
  POLICY_CHANGE: 'was allowed, and cut when policy changed',
  CONNECT: 'the destination could not be connected',
  NO_ENDPOINT: 'the service has no ready endpoint or no such port',
  NETWORK_POLICY: 'no answer on the tunnel port: a NetworkPolicy or firewall may block 15008',
  TLS_FAILURE: 'TLS failed, or the peer was not who it should be',
  H2_HANDSHAKE_FAILURE: 'HTTP/2 did not start on the tunnel',
  IDENTITY_ERROR: 'no certificate could be had for the identity',
  CERT_REVOKED: 'the peer certificate was revoked',
  UNKNOWN_SOURCE: 'the source stayed unknown until its time was up',
  UNKNOWN_DESTINATION: 'the destination is a mesh address and stayed unknown until its time was up',
  WORKLOAD_GONE: 'the pod at one end was removed or replaced',
  SELF_CALL: 'the destination is a port of the proxy itself',
  RESET_BY_SOURCE: 'the source reset the connection',
  RESET_BY_DESTINATION: 'the destination reset the connection',
  IDLE_TIMEOUT: 'idle for too long',
  HALF_CLOSE_TIMEOUT: 'half closed for too long',
  OVERLOAD: 'a limit was reached',
  DRAIN: 'the proxy was shutting down',
  UNAUTHENTICATED: 'the token was refused (401)',
  NO_ROUTE: 'routes are attached and none matches (NR)',
  BACKEND_INVALID: 'the route names no backend that can be used (NC)',
  UPSTREAM_OVERFLOW: 'a circuit breaker of the destination was open (UO)',
  UPSTREAM_TIMEOUT: 'the request or its last try took too long (UT)',
  MAX_STREAM_TIME: 'the stream lasted longer than its route allows (UMSDR)',
  RETRY_LIMIT: 'the last of the tries failed like those before (URX)',
  RETRY_REFUSED: 'a failed try was to be made again, and the retry budget or maxRetries did not allow it (URX)',
  RATE_LIMITED: 'a rate limit was reached (RL)',
  FAULT_INJECTED: 'the route injects this fault (FI)',
  REQUEST_INVALID: 'the client broke HTTP (DPE)',
  RESPONSE_INVALID: 'the destination broke HTTP (UPE)',
  PROXY_ERROR: 'a failure of the proxy or of its peer proxy',
} as const satisfies Record<string, string>;

export type Flag = keyof typeof flagTable;

/** A policy of L4 has spoken, at the beginning or later. */
const byPolicy = ['DENY', 'POLICY_CHANGE'] as const satisfies Flag[];
export const policyFlags: ReadonlySet<string> = new Set(byPolicy);

/** Somebody was refused, which is no fault; tokens and rate limits are judged for requests alone. */
export const refusalFlags: ReadonlySet<string> = new Set([
  ...byPolicy,
  'UNAUTHENTICATED',
  'RATE_LIMITED',
] satisfies Flag[]);
