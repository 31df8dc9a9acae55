// The end of a request that no exchange was made of, since its codec has refused it: its counters, its line in the
// access log, its span.
import { isoTime } from '../../base/clock.ts';
import type { MeshError } from '../../base/errors.ts';
import type { Flag } from '../../base/flags.ts';
import type { RequestSegments } from '../../telemetry/access-record.ts';
import { countRequest } from '../../telemetry/request-counters.ts';
import type { HttpProtocol, RefusedHead } from '../message.ts';
import { traceRefused } from '../traces/refused-span.ts';
import type { ClientInfo } from './context.ts';
import type { Engine } from './engine.ts';
import { destinationOf, sourceOf } from './record.ts';
import { pathOf } from './rewrite.ts';

const noSegments: RequestSegments = {
  clientProxy: null,
  wire: null,
  waypoint: null,
  destinationProxy: null,
  application: null,
};
/** Of a target that nobody could read; more of it helps nobody. */
const pathLengthMax = 1024;

/** A request as far as it was read. */
export interface RefusedRequest {
  /** What the client was told; 0 where its stream was closed only. */
  readonly status: number;
  readonly error: MeshError;
  readonly head: RefusedHead | null;
  readonly protocol: HttpProtocol;
}

/** Counts the request, and hands its record on where somebody listens. */
export function recordRefused(engine: Engine, client: ClientInfo, refused: RefusedRequest): void {
  const { status, error, head, protocol } = refused;
  const flag: Flag = error.flag === 'PROXY_ERROR' ? 'REQUEST_INVALID' : error.flag;
  // Queries carry tokens: they are nobody's business.
  const path = head === null ? null : pathOf(head.target).slice(0, pathLengthMax);
  const row = engine.rows.rowOf(client, null, { status, flag, grpcStatus: -1, isGrpc: false });
  countRequest(row, 0, 0, 0);
  if (error.code === 'LIMIT_REACHED') engine.countLimit(String(error.details.limit));
  const traceId = traceRefused(engine, client, { ...refused, flag, path });
  if (!engine.context.records.wants(true, engine.nowMs())) return;
  engine.context.records.request({
    time: isoTime(Date.now()),
    kind: 'request',
    direction: 'inbound',
    source: sourceOf(client),
    destination: destinationOf(client, null),
    transport: client.identity === null ? 'plaintext' : 'mtls',
    bytesSent: 0,
    bytesReceived: 0,
    durationMs: 0,
    flag,
    decidedBy: null,
    error: error.message,
    method: head?.method ?? null,
    path,
    status,
    attempts: 0,
    requestId: null,
    traceId,
    authority: null,
    protocol,
    route: null,
    grpcStatus: null,
    segmentsMs: noSegments,
  });
}
