// One connection as the data path knows it: who, to whom, since when, how far, and how it ended. Filled in while the
// connection is decided and connected; the tracker holds it, telemetry reads it, and it finishes exactly once.
import { isoTime } from '../base/clock.ts';
import type { MeshError } from '../base/errors.ts';
import type { Flag } from '../base/flags.ts';
import { formatHostPort } from '../base/ip.ts';
import type { Service, SpiffeId, Workload } from '../model/types.ts';
import type { ConnectionView, PeerView } from '../model/views.ts';
import type { ConnectionFacts } from '../policy/evaluate.ts';
import type { AccessRecord } from '../telemetry/access-record.ts';
import type { EdgeRow } from '../telemetry/edge-counters.ts';
import type { ConnectionTrace } from './connection-traces.ts';
import type { Splice } from './splice.ts';

export type Direction = 'inbound' | 'outbound';
export type Transport = 'mtls' | 'same-node' | 'plaintext';

/**
 * One end of a connection. `identity` is set only where it was proven: by TLS, or by the model for a local captured
 * pod.
 */
export interface Peer {
  readonly address: string;
  readonly port: number;
  readonly workload: Workload | null;
  readonly identity: SpiffeId | null;
}

/** The question that policy was asked, kept to ask it again when policy changes. */
export interface PolicyQuestion extends ConnectionFacts {
  /** Whose policy: the pod's, or, at a waypoint, what was put before the service. */
  readonly destination: Workload | Service;
}

const noHits: readonly string[] = Object.freeze([]);

/** A connection from accept to its access-log line. */
export class Connection {
  readonly id: string;
  readonly direction: Direction;
  readonly #startedAtMs = Date.now();
  readonly #startedMs = performance.now();
  source: Peer;
  destination: Peer;
  service: Service | null = null;
  transport: Transport = 'plaintext';
  /** Set where this proxy enforces the destination's policy: inbound and same-node. */
  question: PolicyQuestion | null = null;
  decidedBy: string | null = null;
  /** What AUDIT and dry-run policies said when it was judged first. */
  policyHits: readonly string[] = noHits;
  attempts = 0;
  holdMs: number | null = null;
  connectMs: number | null = null;
  /** Both ends are joined; before that it can only fail. */
  opened = false;
  /** What ends it in its present phase; the phase that takes over replaces it. */
  abort: (error: MeshError) => void = () => {};
  splice: Splice | null = null;
  finished = false;
  /** Its span; null where it is not traced, undefined before that was decided. Kept by `ConnectionTraces`. */
  trace: ConnectionTrace | null | undefined = undefined;
  /** Uids of the local pods whose end is the end of this connection; kept by the tracker. */
  boundTo: string[] = [];
  /** Where it is counted as a connection of a local pod; -1 where it is not. Kept by `Admission`. */
  sourceSlot = -1;
  destinationSlot = -1;
  /** Bytes already added to the edge counters. */
  countedSent = 0;
  countedReceived = 0;
  /** The edge counters of an open connection; empty before. */
  rows: readonly EdgeRow[] = [];

  constructor(id: string, direction: Direction, source: Peer, destination: Peer) {
    this.id = id;
    this.direction = direction;
    this.source = source;
    this.destination = destination;
  }

  get bytesSent(): number {
    return this.splice?.bytesSent ?? 0;
  }

  get bytesReceived(): number {
    return this.splice?.bytesReceived ?? 0;
  }

  /** Milliseconds since accept. */
  elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** The row of `config connections`. */
  view(thread: number): ConnectionView {
    return {
      id: this.id,
      direction: this.direction,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      source: peerView(this.source),
      destination: destinationView(this.destination, this.service),
      transport: this.transport,
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      thread,
    };
  }

  /** The access-log line of its end. */
  record(error: MeshError | null, flag: Flag): AccessRecord {
    const { policyHits, trace } = this;
    const record: AccessRecord = {
      time: isoTime(Date.now()),
      kind: 'connection',
      direction: this.direction,
      source: peerView(this.source),
      destination: destinationView(this.destination, this.service),
      transport: this.transport,
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      durationMs: Math.round(this.elapsedMs()),
      flag,
      decidedBy: this.decidedBy,
      error: error === null ? null : error.message,
      method: null,
      path: null,
      status: null,
      attempts: this.attempts,
      segmentsMs: { hold: rounded(this.holdMs), connect: rounded(this.connectMs) },
    };
    // A literal with a spread in it takes as long to make as all the rest; few connections have one of these.
    if (policyHits.length === 0 && trace == null) return record;
    return {
      ...record,
      ...(policyHits.length === 0 ? {} : { policyHits }),
      ...(trace == null ? {} : { traceId: trace.traceId }),
    };
  }
}

function peerView(peer: Peer): PeerView {
  return {
    workload: peer.workload?.name ?? null,
    namespace: peer.workload?.namespace ?? null,
    identity: peer.identity,
    address: formatHostPort(peer.address, peer.port),
  };
}

function destinationView(peer: Peer, service: Service | null): AccessRecord['destination'] {
  return {
    workload: peer.workload?.name ?? null,
    namespace: peer.workload?.namespace ?? null,
    identity: peer.identity,
    address: formatHostPort(peer.address, peer.port),
    service: service?.hostname ?? null,
  };
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}
