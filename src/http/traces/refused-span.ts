// The span of a request that its codec has refused (400, 408, 414, 431, broken frames): nothing of it came any further,
// so there is no try, and of its attributes what could be read.
import type { Flag } from '../../base/flags.ts';
import { addPeer } from '../../telemetry/traces/peer-attributes.ts';
import { type Attributes, epochOffsetMs, SpanKind } from '../../telemetry/traces/span.ts';
import type { ClientInfo } from '../exchange/context.ts';
import type { Engine } from '../exchange/engine.ts';
import { destinationOf, sourceOf } from '../exchange/record.ts';
import type { RefusedRequest } from '../exchange/record-refused.ts';
import { newSpanId, newTraceId } from '../exchange/request-ids.ts';
import type { Headers } from '../message.ts';
import { agentLengthMax, methodAttributes, verbOf } from './request-spans.ts';
import { readTraceContext, type TraceContext, traceStateOf } from './trace-context.ts';

interface Refused extends RefusedRequest {
  readonly flag: Flag;
  /** Without its query, and not too long; null where it was not read. */
  readonly path: string | null;
}

const noContext: TraceContext = { traceId: '', parentId: '', sampled: null };

/** Hands over the span of a request that is refused now. Returns its trace; null where none is kept. */
export function traceRefused(engine: Engine, client: ClientInfo, refused: Refused): string | null {
  const { tracer } = engine;
  if (tracer === null) return null;
  const headers = refused.head?.headers ?? null;
  const context = headers === null ? noContext : readTraceContext(headers);
  const { tracePercent } = engine.routesOf(client).routes;
  if (!tracer.samples(context.sampled, client.service.namespace, tracePercent)) return null;
  const nowMs = epochOffsetMs() + engine.nowMs();
  const traceId = context.traceId || newTraceId();
  const attributes = attributesOf(client, refused, headers);
  tracer.end({
    name: verbOf(attributes),
    kind: SpanKind.Server,
    traceId,
    spanId: newSpanId(),
    parentId: context.parentId,
    isRemote: true,
    state: headers === null || context.traceId === '' ? '' : traceStateOf(headers),
    startMs: nowMs,
    endMs: nowMs,
    attributes,
    // Not the server's fault, but without it nobody would learn why.
    error: refused.error.message,
  });
  return traceId;
}

function attributesOf(client: ClientInfo, refused: Refused, headers: Headers | null): Attributes {
  const { status, error, head, protocol, flag, path } = refused;
  const { service } = client;
  const all: Attributes = {
    ...methodAttributes(head?.method ?? ''),
    'server.address': service.hostname,
    'server.port': client.servicePort,
    'url.scheme': 'http',
    'network.protocol.name': 'http',
    'network.protocol.version': protocol === 'http2' ? '2' : '1.1',
    'client.address': client.address,
    'error.type': error.code,
    'ambient.flag': flag,
    'ambient.transport': client.identity === null ? 'plaintext' : 'mtls',
  };
  if (path !== null) all['url.path'] = path;
  if (status > 0) all['http.response.status_code'] = status;
  const agent = headers?.get('user-agent') ?? null;
  if (agent !== null) all['user_agent.original'] = agent.slice(0, agentLengthMax);
  addPeer(all, 'ambient.source', sourceOf(client));
  const destination = destinationOf(client, null);
  if (destination.service !== null) all['ambient.destination.service'] = destination.service;
  return all;
}
