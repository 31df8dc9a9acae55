// The end of a request for those who look on: its counters, and its line in the access log.
import { isoTime } from '../../base/clock.ts';
import { formatHostPort } from '../../base/ip.ts';
import { identityOf } from '../../forward/workload-names.ts';
import type { RouteRule } from '../../model/route-types.ts';
import type { Workload } from '../../model/types.ts';
import type { RequestRecord, RequestSegments } from '../../telemetry/access-record.ts';
import { countRequest } from '../../telemetry/request-counters.ts';
import { countSegments } from '../../telemetry/segment-counters.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { RefusingLimit } from '../resilience/refusals.ts';
import { endTrace } from '../traces/request-spans.ts';
import type { ClientInfo, Verdict } from './context.ts';
import type { Exchange } from './exchange.ts';
import { keepExemplar, maySample } from './exemplars.ts';
import { pathOf } from './rewrite.ts';

/** Counts a request that is over, and hands its record on where somebody listens. */
export function recordOf(exchange: Exchange): void {
  const { engine, client, head, request } = exchange;
  const nowMs = engine.nowMs();
  const durationMs = nowMs - request.startedAtMs;
  const segmentsMs = exchange.times.segments(nowMs);
  const workload = exchange.endpoint?.workload ?? null;
  const { status, flag, grpcStatus } = exchange;
  const row = engine.rows.rowOf(client, workload, { status, flag, grpcStatus, isGrpc: head.grpc });
  countRequest(row, durationMs, head.headBytes + exchange.bytesReceived, exchange.bytesSent);
  countSegments(row.segments, segmentsMs);
  const { trace } = exchange;
  const parent = exchange.changes?.traceparent;
  if (trace !== null) {
    row.exemplar = { traceId: trace.traceId, durationMs, atMs: Date.now() };
    endTrace(engine.tracer!, exchange, trace, nowMs, segmentsMs);
  } else if (parent != null && maySample(parent)) keepExemplar(row, parent, durationMs);
  if (exchange.verdict?.policyHits !== undefined) engine.context.policyHits?.count(exchange.verdict.policyHits);
  if (exchange.error?.code === 'UPSTREAM_OVERFLOW') {
    exchange.destination?.refusals.note(exchange.error.details.limit as RefusingLimit, nowMs);
  }
  row.requestMessages += exchange.requestMessages?.messages ?? 0;
  row.responseMessages += exchange.responseMessages?.messages ?? 0;
  const { records } = engine.context;
  if (!records.wants(hasFailed(exchange), nowMs)) return;
  records.request(lineOf(exchange, exchange.times.wholeMs(nowMs), segmentsMs));
}

/** Worth keeping for whoever looks into what went wrong. */
function hasFailed({ flag, status, grpcStatus }: Exchange): boolean {
  return flag !== '-' || status === null || status >= 500 || grpcStatus > 0;
}

function lineOf(exchange: Exchange, durationMs: number, segmentsMs: RequestSegments): RequestRecord {
  const { client, head, endpoint, rule } = exchange;
  const { policyHits } = exchange.verdict ?? noVerdict;
  const record: RequestRecord = {
    time: isoTime(Date.now()),
    kind: 'request',
    direction: 'inbound',
    source: sourceOf(client),
    destination: destinationOf(client, endpoint),
    transport: client.identity === null ? 'plaintext' : 'mtls',
    bytesSent: exchange.bytesReceived,
    bytesReceived: exchange.bytesSent,
    durationMs: Math.round(durationMs * 1000) / 1000,
    flag: exchange.flag,
    decidedBy: exchange.decidedBy,
    error: exchange.error?.message ?? null,
    method: head.method,
    // Queries carry tokens: they are nobody's business.
    path: pathOf(exchange.target),
    status: exchange.status,
    attempts: exchange.attempts,
    requestId: exchange.changes?.requestId ?? null,
    traceId: exchange.trace?.traceId ?? exchange.changes?.traceId ?? null,
    authority: head.authority,
    protocol: head.grpc ? 'grpc' : head.protocol,
    route: rule === null || client.pod !== undefined ? null : routeName(rule),
    grpcStatus: exchange.grpcStatus < 0 ? null : exchange.grpcStatus,
    segmentsMs,
  };
  // A literal with a spread in it takes as long to make as all the rest.
  return policyHits === undefined ? record : { ...record, policyHits };
}

const noVerdict: Pick<Verdict, 'policyHits'> = {};

type Source = RequestRecord['source'];
type Destination = RequestRecord['destination'];

const sources = new WeakMap<ClientInfo, Source>();
/** By endpoint, for as long as it and who asks stay the same. */
const destinations = new WeakMap<Endpoint, { workload: Workload; service: string | null; view: Destination }>();

/** The client of a request, as logs and dumps show it. */
export function sourceOf(client: ClientInfo): Source {
  const known = sources.get(client);
  if (known !== undefined) return known;
  const made = {
    workload: client.workload?.name ?? null,
    namespace: client.workload?.namespace ?? null,
    identity: client.identity,
    address: formatHostPort(client.address, client.port),
  };
  sources.set(client, made);
  return made;
}

/** Where a request goes: its endpoint, before there is one what was dialled. */
export function destinationOf(client: ClientInfo, endpoint: Endpoint | null): Destination {
  const service = client.pod === undefined ? client.service.hostname : null;
  if (endpoint === null) {
    const address = formatHostPort(client.destinationAddress, client.servicePort);
    return { workload: null, namespace: null, identity: null, address, service };
  }
  const { workload, title } = endpoint;
  const known = destinations.get(endpoint);
  if (known !== undefined && known.workload === workload && known.service === service) return known.view;
  const { name, namespace, tunnelProtocol } = workload;
  const identity = tunnelProtocol === 'HBONE' ? identityOf(workload) : null;
  const view = { workload: name, namespace, identity, address: title, service };
  destinations.set(endpoint, { workload, service, view });
  return view;
}

const routeNames = new WeakMap<RouteRule, string>();

/** `KIND/NAMESPACE/NAME#RULE`, by the rule's name where it has one. */
export function routeName(rule: RouteRule): string {
  const known = routeNames.get(rule);
  if (known !== undefined) return known;
  const { kind, namespace, name, rule: number, ruleName } = rule.origin;
  const made = `${kind}/${namespace}/${name}#${ruleName ?? number}`;
  routeNames.set(rule, made);
  return made;
}
