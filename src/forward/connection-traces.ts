// Spans of connections, where they are asked for: one at each proxy that carries it, the one at the destination a child
// of the one at the source. The tunnel's `traceparent` says so to the other end. A connection that goes through no
// tunnel is decided upon at its end, since nobody else has to know.
import type { MeshError } from '../base/errors.ts';
import type { Flag } from '../base/flags.ts';
import { addPeer } from '../telemetry/traces/peer-attributes.ts';
import { type Attributes, epochOffsetMs, microseconds, SpanKind } from '../telemetry/traces/span.ts';
import type { Tracer } from '../telemetry/traces/tracer.ts';
import { newTraceparent, parseTraceparent } from '../tunnel/traceparent.ts';
import type { Connection } from './connection.ts';

/** The span of a connection, while it runs. */
export interface ConnectionTrace {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for the first. */
  readonly parentId: string;
}

/** The traces of one thread's connections. */
export class ConnectionTraces {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** The `traceparent` for the tunnel of a connection that this proxy takes from a pod. */
  traceparentOf(connection: Connection): string {
    if (connection.trace === undefined && this.#tracer.tracesConnections) this.#decide(connection, null);
    const { trace = null } = connection;
    return trace === null ? newTraceparent() : `00-${trace.traceId}-${trace.spanId}-01`;
  }

  /** Takes over what the proxy at the other end of the tunnel has decided. */
  adopt(connection: Connection, traceparent: string): void {
    if (!this.#tracer.tracesConnections) return;
    const parent = parseTraceparent(traceparent);
    if (parent !== null) this.#decide(connection, parent);
  }

  #decide(connection: Connection, parent: ReturnType<typeof parseTraceparent>): void {
    const { service, destination } = connection;
    const namespace = service?.namespace ?? destination.workload?.namespace ?? '';
    connection.trace = null;
    if (!this.#tracer.samples(parent?.sampled ?? null, namespace)) return;
    const own = parseTraceparent(newTraceparent())!;
    const traceId = parent?.traceId ?? own.traceId;
    connection.trace = { traceId, spanId: own.parentId, parentId: parent?.parentId ?? '' };
  }

  /** Called once, at the end of a connection. */
  finished(connection: Connection, error: MeshError | null, flag: Flag): void {
    if (!this.#tracer.tracesConnections) return;
    if (connection.trace === undefined) this.#decide(connection, null);
    const { trace = null, direction } = connection;
    if (trace === null) return;
    const endMs = epochOffsetMs() + performance.now();
    this.#tracer.end({
      ...trace,
      name: `${direction} connection`,
      kind: direction === 'outbound' ? SpanKind.Client : SpanKind.Server,
      isRemote: trace.parentId !== '',
      state: '',
      startMs: endMs - connection.elapsedMs(),
      endMs,
      attributes: attributesOf(connection, error, flag),
      error: error?.message ?? null,
    });
  }
}

function attributesOf(connection: Connection, error: MeshError | null, flag: Flag): Attributes {
  const { source, destination, service, transport, attempts, holdMs, connectMs, decidedBy } = connection;
  const record = connection.record(error, flag);
  const all: Attributes = {
    'network.transport': 'tcp',
    'client.address': source.address,
    'server.address': service?.hostname ?? destination.address,
    'network.peer.address': connection.direction === 'outbound' ? destination.address : source.address,
    'network.peer.port': connection.direction === 'outbound' ? destination.port : source.port,
    'ambient.transport': transport,
    'ambient.flag': flag,
    'ambient.bytes_sent': connection.bytesSent,
    'ambient.bytes_received': connection.bytesReceived,
  };
  addPeer(all, 'ambient.source', record.source);
  addPeer(all, 'ambient.destination', record.destination);
  if (service !== null) all['ambient.destination.service'] = service.hostname;
  if (decidedBy !== null) all['ambient.policy'] = decidedBy;
  if (attempts > 1) all['ambient.tries'] = attempts;
  if (holdMs !== null) all['ambient.segment.hold_us'] = microseconds(holdMs);
  if (connectMs !== null) all['ambient.segment.connect_us'] = microseconds(connectMs);
  if (error !== null) all['error.type'] = error.code;
  return all;
}
