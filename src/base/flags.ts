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
  PROXY_ERROR: 'a failure of the proxy or of its peer proxy',
} as const satisfies Record<string, string>;

export type Flag = keyof typeof flagTable;
