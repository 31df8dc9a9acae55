// The spans of a request that is over: one of kind server for itself, one of kind client for each of its tries.
// Attributes are named as by OpenTelemetry's conventions for HTTP and RPC where these have a name; others are
// `ambient.…`.
// Nothing of a query, a token or a body is in them, and of headers the `user-agent` alone.
import { splitHostPort } from '../../base/ip.ts';
import type { RequestSegments } from '../../telemetry/access-record.ts';
import { addPeer } from '../../telemetry/traces/peer-attributes.ts';
import { type Attributes, epochOffsetMs, microseconds, SpanKind } from '../../telemetry/traces/span.ts';
import type { Tracer } from '../../telemetry/traces/tracer.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { destinationOf, routeName, sourceOf } from '../exchange/record.ts';
import { splitTarget } from '../exchange/rewrite.ts';
import type { RequestTrace, TryTrace } from './request-trace.ts';

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);
/** A server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const grpcFaults = new Set([2, 4, 12, 13, 14, 15]);
/** Characters of `user-agent` in a span. */
export const agentLengthMax = 256;
const methodLengthMax = 64;

const segmentNames = {
  clientProxy: 'ambient.segment.client_proxy_us',
  wire: 'ambient.segment.wire_us',
  waypoint: 'ambient.segment.waypoint_us',
  destinationProxy: 'ambient.segment.destination_proxy_us',
  application: 'ambient.segment.application_us',
} as const satisfies Record<keyof RequestSegments, string>;

/** Hands the spans of a request to `tracer`; called once, when it is over at `nowMs`. */
export function endTrace(
  tracer: Tracer,
  exchange: Exchange,
  trace: RequestTrace,
  nowMs: number,
  segments: RequestSegments,
): void {
  const offsetMs = epochOffsetMs();
  const { traceId, state } = trace;
  const asked = askedOf(exchange);
  const name = nameOf(exchange, asked);
  for (const one of trace.tries) {
    tracer.end({
      name,
      kind: SpanKind.Client,
      traceId,
      spanId: one.spanId,
      parentId: trace.spanId,
      isRemote: false,
      state,
      startMs: offsetMs + one.startedAtMs,
      endMs: offsetMs + (one.endedAtMs || nowMs),
      attributes: tryAttributes(exchange, one, asked, trace.tries.indexOf(one)),
      error: tryError(exchange, one),
    });
  }
  tracer.end({
    name,
    kind: SpanKind.Server,
    traceId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    isRemote: true,
    state,
    startMs: offsetMs + exchange.request.startedAtMs,
    endMs: offsetMs + nowMs,
    attributes: requestAttributes(exchange, trace, asked, segments),
    error: requestError(exchange),
  });
}

/** What a request and its tries have in common. */
function askedOf({ head, target }: Exchange): Attributes {
  const { method, authority, grpc } = head;
  const asked = methodAttributes(method);
  const { host, port } = splitHostPort(authority) ?? { host: authority, port: 0 };
  asked['server.address'] = host;
  if (port > 0) asked['server.port'] = port;
  if (!grpc) return asked;
  const [path] = splitTarget(target);
  const [, service = '', rpc = ''] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  asked['rpc.system'] = 'grpc';
  if (service !== '') asked['rpc.service'] = service;
  if (rpc !== '') asked['rpc.method'] = rpc;
  return asked;
}

/** Few names for many requests: what was called of gRPC, else the method and what the route matches. */
function nameOf(exchange: Exchange, asked: Attributes): string {
  const { 'rpc.service': service, 'rpc.method': rpc } = asked;
  if (service !== undefined && rpc !== undefined) return `${service}/${rpc}`;
  const template = templateOf(exchange);
  return template === null ? verbOf(asked) : `${verbOf(asked)} ${template}`;
}

/** A method as the conventions want it: what is none of theirs is `_OTHER`. */
export function methodAttributes(method: string): Attributes {
  if (knownMethods.has(method)) return { 'http.request.method': method };
  const original = method === '' ? {} : { 'http.request.method_original': method.slice(0, methodLengthMax) };
  return { 'http.request.method': '_OTHER', ...original };
}

/** What names of spans begin with. */
export function verbOf({ 'http.request.method': method }: Attributes): string {
  return method === '_OTHER' ? 'HTTP' : String(method);
}

/** The path that the route was chosen by; null where it was none, or a pattern. */
function templateOf({ matchedPath }: Exchange): string | null {
  if (matchedPath === null || matchedPath.kind === 'regex') return null;
  const { kind, value } = matchedPath;
  if (kind === 'exact') return value;
  return `${value}${value.endsWith('/') || kind === 'prefix' ? '' : '/'}*`;
}

function requestAttributes(
  exchange: Exchange,
  trace: RequestTrace,
  asked: Attributes,
  segments: RequestSegments,
): Attributes {
  const { head, target, client, status, rule, verdict, decidedBy, flag, grpcStatus, endpoint } = exchange;
  const all: Attributes = {
    ...asked,
    'url.path': splitTarget(target)[0],
    'url.scheme': head.scheme,
    'network.protocol.name': 'http',
    'network.protocol.version': head.protocol === 'http2' ? '2' : '1.1',
    'client.address': client.address,
    'ambient.flag': flag,
    'ambient.transport': client.identity === null ? 'plaintext' : 'mtls',
    'http.request.body.size': exchange.bytesReceived,
    'http.response.body.size': exchange.bytesSent,
  };
  const template = templateOf(exchange);
  if (template !== null) all['http.route'] = template;
  if (trace.userAgent !== null) all['user_agent.original'] = trace.userAgent.slice(0, agentLengthMax);
  if (status > 0) all['http.response.status_code'] = status;
  if (grpcStatus >= 0) all['rpc.grpc.status_code'] = grpcStatus;
  const error = requestError(exchange);
  if (error !== null) all['error.type'] = errorType(exchange.error?.code ?? '', status, grpcStatus);
  addPeer(all, 'ambient.source', sourceOf(client));
  const destination = destinationOf(client, endpoint);
  if (destination.service !== null) all['ambient.destination.service'] = destination.service;
  addPeer(all, 'ambient.destination', destination);
  if (rule !== null && client.pod === undefined) all['ambient.route'] = routeName(rule);
  const decider = decidedBy ?? verdict?.decidedBy ?? null;
  if (decider !== null) all['ambient.policy'] = decider;
  if (exchange.changes !== null) all['ambient.request_id'] = exchange.changes.requestId;
  if (trace.tries.length > 1) all['ambient.tries'] = trace.tries.length;
  for (const segment of Object.keys(segmentNames) as (keyof RequestSegments)[]) {
    const ms = segments[segment];
    if (ms !== null) all[segmentNames[segment]] = microseconds(ms);
  }
  return all;
}

function tryAttributes(exchange: Exchange, one: TryTrace, asked: Attributes, before: number): Attributes {
  const { head, changes, client, times, upstreamProtocol, target } = exchange;
  const { endpoint, status, grpcStatus, reason } = one;
  const authority = changes?.authority ?? head.authority;
  const all: Attributes = {
    ...asked,
    'url.full': `${head.scheme}://${authority}${splitTarget(changes?.target ?? target)[0]}`,
    'network.peer.address': endpoint.address,
    'network.peer.port': endpoint.port,
    'network.protocol.name': 'http',
    'network.protocol.version': upstreamProtocol === 'http2' ? '2' : '1.1',
    'ambient.flag': one.flag,
  };
  addPeer(all, 'ambient.destination', destinationOf(client, endpoint));
  if (before > 0) all['http.request.resend_count'] = before;
  if (reason !== '') all['ambient.retry.reason'] = reason;
  if (status > 0) all['http.response.status_code'] = status;
  const grpc = isLast(exchange, one) ? exchange.grpcStatus : grpcStatus;
  if (status > 0 && grpc >= 0) all['rpc.grpc.status_code'] = grpc;
  if (tryError(exchange, one) !== null)
    all['error.type'] = errorType(one.errorCode || lastCode(exchange, one), status, grpc);
  if (one.endedAtMs === 0 && times.sentAtMs >= one.startedAtMs) {
    all['ambient.connect_us'] = microseconds(times.sentAtMs - one.startedAtMs);
    if (times.headAtMs >= times.sentAtMs) all['ambient.first_byte_us'] = microseconds(times.headAtMs - times.sentAtMs);
  }
  return all;
}

/** The try whose end was that of the request. */
function isLast({ trace }: Exchange, one: TryTrace): boolean {
  return one.endedAtMs === 0 && trace?.tries.at(-1) === one;
}

/** What ended the request while this try was under way: a time-out, a client that left. */
function lastCode(exchange: Exchange, one: TryTrace): string {
  return isLast(exchange, one) ? (exchange.error?.code ?? '') : '';
}

function tryError(exchange: Exchange, one: TryTrace): string | null {
  if (one.error !== '') return one.error;
  if (isLast(exchange, one) && exchange.error !== null) return exchange.error.message;
  const grpc = isLast(exchange, one) ? exchange.grpcStatus : one.grpcStatus;
  return one.status >= 400 || grpc > 0 ? '' : null;
}

/** As the conventions have it: of a server, what is not its fault is no error. */
function requestError({ status, grpcStatus, error, flag, head }: Exchange): string | null {
  const isFault = status >= 500 || status === 0 || (head.grpc && grpcFaults.has(grpcStatus));
  const isCut = error !== null && (flag === 'RESET_BY_DESTINATION' || flag === 'RESET_BY_SOURCE');
  return isFault || isCut ? (error?.message ?? '') : null;
}

function errorType(code: string, status: number, grpcStatus: number): string {
  if (code !== '') return code;
  return grpcStatus > 0 ? String(grpcStatus) : String(status);
}
