// Every error that Ambient raises on purpose, in one table: its code, its words, and the flag it leaves in the access
// log.
// A message is lower-case, names the subject and says what to check next. Codes are stable; words may improve.
import type { Flag } from './flags.ts';

interface ErrorEntry {
  /** Message template; `{name}` is replaced by the detail of that name. */
  readonly message: string;
  /** What the access log and the metrics call it, where it can end a connection. */
  readonly flag?: Flag;
}

export const errorTable = {
  INTERNAL: {
    message: 'unexpected failure: {reason}; please report it with the log around this line',
    flag: 'PROXY_ERROR',
  },
  USAGE: { message: '{reason}' },
  INPUT_UNREADABLE: { message: '{place}: {reason}' },
  CONFIG_INVALID: { message: '{place}: {reason}' },
  NOT_FOUND: { message: '{what} is not there; {hint}' },
  NOT_REACHABLE: { message: '{what} cannot be reached: {reason}; {hint}' },
  KUBE_API: { message: '{what}: the API server answered {status} {reason}: {message}' },
  TIMED_OUT: { message: '{what} took longer than {timeoutMs} ms; {hint}' },
  LIMIT_REACHED: { message: 'limit {limit} of {value} reached by {what}', flag: 'OVERLOAD' },
  POLICY_DENIED: { message: 'denied by {policy}', flag: 'DENY' },
  POLICY_CHANGED: { message: 'closed because policy changed: {policy}', flag: 'POLICY_CHANGE' },
  NO_ENDPOINT: { message: 'service {service} has no ready endpoint for port {port}', flag: 'NO_ENDPOINT' },
  NO_SUCH_PORT: { message: 'service {service} has no port {port}', flag: 'NO_ENDPOINT' },
  CONNECT_FAILED: { message: 'cannot connect to {address}: {reason}', flag: 'CONNECT' },
  CONNECT_TIMEOUT: { message: 'no answer from {address} in {timeoutMs} ms', flag: 'CONNECT' },
  TUNNEL_CONNECT_TIMEOUT: {
    message: 'no answer from {address} in {timeoutMs} ms; a NetworkPolicy or firewall may block port 15008',
    flag: 'NETWORK_POLICY',
  },
  TUNNEL_REJECTED: { message: 'the peer proxy at {address} answered {status} to CONNECT {authority}', flag: 'CONNECT' },
  TLS_FAILED: { message: 'TLS with {address} failed: {reason}', flag: 'TLS_FAILURE' },
  PEER_IDENTITY: { message: 'the peer at {address} is {actual}, expected {expected}', flag: 'TLS_FAILURE' },
  CERTIFICATE_REVOKED: {
    message: 'the certificate {serial} of {identity} at {address} was revoked by {revocation}',
    flag: 'CERT_REVOKED',
  },
  H2_HANDSHAKE: { message: 'HTTP/2 with {address} did not start: {reason}', flag: 'H2_HANDSHAKE_FAILURE' },
  AUTHORITY_INVALID: { message: 'CONNECT {authority} was refused: {reason}', flag: 'PROXY_ERROR' },
  H2_PROTOCOL: { message: 'HTTP/2 peer broke the protocol: {reason}', flag: 'PROXY_ERROR' },
  NO_CERTIFICATE: { message: 'no certificate for {identity}: {reason}', flag: 'IDENTITY_ERROR' },
  IDENTITY_INVALID: { message: '{value} is no SPIFFE id of the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT' },
  UNKNOWN_SOURCE: { message: 'the source {address} is no workload that this node knows', flag: 'UNKNOWN_SOURCE' },
  UNKNOWN_DESTINATION: {
    message: 'the destination {address} is no workload or service that this node knows',
    flag: 'UNKNOWN_DESTINATION',
  },
  WORKLOAD_GONE: { message: 'closed because {workload} was removed or replaced', flag: 'WORKLOAD_GONE' },
  SELF_CALL: { message: '{address} is a port of the proxy itself', flag: 'SELF_CALL' },
  RESET_BY_SOURCE: { message: 'reset by the source', flag: 'RESET_BY_SOURCE' },
  RESET_BY_DESTINATION: { message: 'reset by the destination', flag: 'RESET_BY_DESTINATION' },
  PEER_RESET: { message: 'reset by the peer: {reason}' },
  CONNECTION_LOST: { message: 'the connection was lost: {reason}' },
  TUNNEL_LOST: { message: 'the tunnel session with {address} ended: {reason}' },
  IDLE_TIMEOUT: { message: 'no byte for {timeoutMs} ms', flag: 'IDLE_TIMEOUT' },
  HALF_CLOSE_TIMEOUT: { message: 'half closed for {timeoutMs} ms', flag: 'HALF_CLOSE_TIMEOUT' },
  DRAINED: { message: 'closed because the proxy is shutting down', flag: 'DRAIN' },
  NO_ROUTE: { message: 'no route of {service} port {port} matches', flag: 'NO_ROUTE' },
  UNAUTHENTICATED: { message: 'the token was refused: {reason}', flag: 'UNAUTHENTICATED' },
  BACKEND_INVALID: { message: 'the route has no backend to use: {reason}', flag: 'BACKEND_INVALID' },
  UPSTREAM_OVERFLOW: { message: 'limit {limit} of {value} reached for {service}', flag: 'UPSTREAM_OVERFLOW' },
  REQUEST_TIMEOUT: { message: 'no whole answer in {timeoutMs} ms', flag: 'UPSTREAM_TIMEOUT' },
  TRY_TIMEOUT: { message: 'no answer to this try in {timeoutMs} ms', flag: 'UPSTREAM_TIMEOUT' },
  MAX_STREAM_TIME: { message: 'the stream lasted longer than {timeoutMs} ms', flag: 'MAX_STREAM_TIME' },
  RATE_LIMITED: { message: 'rate limit of {policy} reached', flag: 'RATE_LIMITED' },
  FAULT_INJECTED: { message: 'the route answers {status} on purpose', flag: 'FAULT_INJECTED' },
  REQUEST_INVALID: { message: 'the client broke HTTP: {reason}', flag: 'REQUEST_INVALID' },
  RESPONSE_INVALID: { message: 'the destination broke HTTP: {reason}', flag: 'RESPONSE_INVALID' },
  CALLER_REFUSED: { message: 'the caller may not do this: {reason}' },
  CA_REFUSED: { message: 'the certificate authority refused {identity}: {reason}' },
  RESOURCE_REFUSED: { message: '{resource}: {reason}' },
  CAPTURE_FAILED: { message: 'cannot set up capture: {reason}; {hint}' },
  TOOL_MISSING: { message: '{tool} is not installed; type: {command}' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;
export type ErrorDetails = Readonly<Record<string, string | number>>;

/** A failure that Ambient knows: a code from `errorTable`, its details, and the cause if there is one. */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(fill(errorTable[code].message, details), options);
    this.name = 'MeshError';
    this.code = code;
    this.details = details;
  }

  /** The access-log flag of this error; `PROXY_ERROR` for one that has no entry of its own. */
  get flag(): Flag {
    const entry: ErrorEntry = errorTable[this.code];
    return entry.flag ?? 'PROXY_ERROR';
  }

  /** Returns `error` itself when it is one of ours, otherwise an `INTERNAL` that carries it as its cause. */
  static from(error: unknown): MeshError {
    if (isMeshError(error)) return error;
    return new MeshError('INTERNAL', { reason: messageOf(error) }, { cause: error });
  }
}

/** True when `error` is a MeshError, also one that was made by another copy of this module. */
export function isMeshError(error: unknown): error is MeshError {
  return error instanceof Error && error.name === 'MeshError' && 'code' in error && String(error.code) in errorTable;
}

/** True when `error` or anything in its chain of causes carries `code`. */
export function causedBy(error: unknown, code: ErrorCode): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth++) {
    if (isMeshError(at) && at.code === code) return true;
  }
  return false;
}

/** The human part of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fill(template: string, details: ErrorDetails): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(details[name] ?? whole));
}
